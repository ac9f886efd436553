-- What YouTube told of a video last. NULL: it was not asked yet.
ALTER TABLE catalog.videos
    ADD COLUMN youtube_status    text,
    ADD COLUMN thumbnail_url     text NOT NULL DEFAULT '',
    ADD COLUMN youtube_synced_at timestamptz;
