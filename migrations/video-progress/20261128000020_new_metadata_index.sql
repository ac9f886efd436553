-- Videos that YouTube was not asked for yet: a new one is asked for together with the other new ones.
CREATE INDEX idx_metadata_new ON video_progress.metadata (due_at) WHERE status IS NULL;
