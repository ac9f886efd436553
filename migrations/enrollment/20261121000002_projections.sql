-- What this service keeps of courses: fed by course.changed, asked for by gRPC on a miss.
CREATE TABLE enrollment.courses (
    id               uuid    PRIMARY KEY,
    version          integer NOT NULL,
    title            text    NOT NULL,
    teacher_id       uuid    NOT NULL,
    is_published     boolean NOT NULL,
    is_archived      boolean NOT NULL,
    seat_limit       integer,
    prerequisite_ids uuid[]  NOT NULL DEFAULT '{}'
);

-- What this service keeps of users: fed by user.registered and user.updated, asked for by gRPC on a miss.
CREATE TABLE enrollment.users (
    id             uuid    PRIMARY KEY,
    version        integer NOT NULL,
    full_name      text    NOT NULL,
    email_verified boolean NOT NULL,
    is_active      boolean NOT NULL
);
