-- What this service keeps of courses, enrolments and users: fed by events, asked for by gRPC on a miss (crates/roster).
CREATE TABLE reporting.courses (
    id           uuid    PRIMARY KEY,
    version      integer NOT NULL,
    title        text    NOT NULL,
    teacher_id   uuid    NOT NULL,
    is_published boolean NOT NULL,
    is_archived  boolean NOT NULL
);

CREATE TABLE reporting.enrollments (
    user_id   uuid    NOT NULL,
    course_id uuid    NOT NULL,
    version   integer NOT NULL,
    status    text    NOT NULL,
    PRIMARY KEY (user_id, course_id)
);
CREATE INDEX idx_enrollments_course ON reporting.enrollments (course_id, user_id);

CREATE TABLE reporting.users (
    id        uuid    PRIMARY KEY,
    version   integer NOT NULL,
    full_name text    NOT NULL
);
