-- Who has completed all videos of a course: told once, in whatever state the enrolment is then, and counted when it is active.
CREATE TABLE enrollment.course_completions (
    user_id      uuid        NOT NULL,
    course_id    uuid        NOT NULL,
    completed_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, course_id)
);
