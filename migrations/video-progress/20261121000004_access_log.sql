-- Who asked for which video (C-VID-05), a partition a month; the service makes them ahead of time.
CREATE TABLE video_progress.access_log (
    user_id    uuid        NOT NULL,
    video_id   uuid        NOT NULL,
    course_id  uuid        NOT NULL,
    is_granted boolean     NOT NULL,
    ip         text        NOT NULL,
    at         timestamptz NOT NULL
) PARTITION BY RANGE (at);

-- Should a month be missing, nothing is refused.
CREATE TABLE video_progress.access_log_rest PARTITION OF video_progress.access_log DEFAULT;
CREATE INDEX idx_access_log_video ON video_progress.access_log (video_id, at);
CREATE INDEX idx_access_log_user ON video_progress.access_log (user_id, at);
