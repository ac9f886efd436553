-- Figures of days that are over (C-JOB-10). A day that is not here is counted when somebody asks.
CREATE TABLE reporting.daily_totals (
    -- Of Istanbul.
    day                   date             PRIMARY KEY,
    registrations         integer          NOT NULL,
    active_users          integer          NOT NULL,
    enrollments           integer          NOT NULL,
    enrollments_dropped   integer          NOT NULL,
    videos_completed      integer          NOT NULL,
    courses_completed     integer          NOT NULL,
    attempts_submitted    integer          NOT NULL,
    attempts_graded       integer          NOT NULL,
    attempts_passed       integer          NOT NULL,
    average_score_percent double precision,
    computed_at           timestamptz      NOT NULL
);

CREATE TABLE reporting.daily_courses (
    course_id             uuid             NOT NULL,
    day                   date             NOT NULL,
    active_users          integer          NOT NULL,
    enrollments           integer          NOT NULL,
    enrollments_dropped   integer          NOT NULL,
    videos_completed      integer          NOT NULL,
    courses_completed     integer          NOT NULL,
    attempts_submitted    integer          NOT NULL,
    attempts_graded       integer          NOT NULL,
    attempts_passed       integer          NOT NULL,
    average_score_percent double precision,
    PRIMARY KEY (course_id, day)
);
CREATE INDEX idx_daily_courses_day ON reporting.daily_courses (day);

-- Days that something was told of after they were over: they are counted again.
CREATE TABLE reporting.stale_days (
    day date PRIMARY KEY
);
