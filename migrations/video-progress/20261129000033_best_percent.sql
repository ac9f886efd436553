-- The most that was ever told of a video: players correct a length that the catalogue does not know, and nobody falls back by it.
ALTER TABLE video_progress.progress ADD COLUMN best_percent double precision NOT NULL DEFAULT 0;
