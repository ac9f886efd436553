-- Finds the links of a chain that are used and old, for the cleaning job.
CREATE INDEX idx_refresh_tokens_used ON auth.refresh_tokens (used_at) WHERE used_at IS NOT NULL;
-- Who may hold a live access token.
CREATE INDEX idx_sessions_last_used ON auth.sessions (last_used_at) WHERE ended_at IS NULL;
