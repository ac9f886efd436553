-- What this service keeps of courses, enrolments and users: fed by events, asked for by gRPC on a miss (crates/roster).
CREATE TABLE video_progress.courses (
    id           uuid    PRIMARY KEY,
    version      integer NOT NULL,
    title        text    NOT NULL,
    teacher_id   uuid    NOT NULL,
    is_published boolean NOT NULL,
    is_archived  boolean NOT NULL
);

CREATE TABLE video_progress.enrollments (
    user_id   uuid    NOT NULL,
    course_id uuid    NOT NULL,
    version   integer NOT NULL,
    status    text    NOT NULL,
    PRIMARY KEY (user_id, course_id)
);
CREATE INDEX idx_enrollments_course ON video_progress.enrollments (course_id, user_id);

CREATE TABLE video_progress.users (
    id        uuid    PRIMARY KEY,
    version   integer NOT NULL,
    full_name text    NOT NULL
);
