-- What YouTube told of each video, and when to ask again.
CREATE TABLE video_progress.metadata (
    video_id         uuid        PRIMARY KEY,
    youtube_id       text        NOT NULL,
    -- NULL: not asked yet.
    status           text        CONSTRAINT metadata_status_check CHECK (status IN ('available', 'private', 'gone', 'not_embeddable')),
    title            text        NOT NULL DEFAULT '',
    duration_seconds integer     NOT NULL DEFAULT 0,
    thumbnail_url    text        NOT NULL DEFAULT '',
    fetched_at       timestamptz,
    -- Whoever asks moves it on first, so that no two instances ask for the same.
    due_at           timestamptz NOT NULL
);
CREATE INDEX idx_metadata_due ON video_progress.metadata (due_at);
