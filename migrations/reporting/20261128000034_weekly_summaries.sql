-- Which teacher was told of which week (C-JOB-06).
CREATE TABLE reporting.weekly_summaries (
    teacher_id uuid        NOT NULL,
    -- A Monday.
    first_day  date        NOT NULL,
    made_at    timestamptz NOT NULL,
    PRIMARY KEY (teacher_id, first_day)
);
