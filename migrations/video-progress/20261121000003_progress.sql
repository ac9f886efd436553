CREATE TABLE video_progress.progress (
    user_id          uuid        NOT NULL,
    video_id         uuid        NOT NULL,
    course_id        uuid        NOT NULL,
    -- Start, end, start, end ...: disjoint, in order, in seconds.
    segments         integer[]   NOT NULL DEFAULT '{}',
    position_seconds integer     NOT NULL DEFAULT 0,
    -- The length as players tell it, for videos whose length the catalogue does not know.
    reported_seconds integer     NOT NULL DEFAULT 0,
    -- From here the clock allows watching.
    started_at       timestamptz NOT NULL,
    completed_at     timestamptz,
    updated_at       timestamptz NOT NULL
) WITH (fillfactor = 80);

-- C-DB-05. Updates touch no indexed column, so that they stay on their page.
CREATE UNIQUE INDEX idx_video_progress_user_video ON video_progress.progress (user_id, video_id);
