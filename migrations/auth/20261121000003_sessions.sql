CREATE TABLE auth.sessions (
    id           uuid        PRIMARY KEY,
    user_id      uuid        NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    device       text        NOT NULL DEFAULT '',
    ip           text        NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    -- Absolute; the idle limit is counted from last_used_at.
    expires_at   timestamptz NOT NULL,
    ended_at     timestamptz
);

CREATE INDEX idx_sessions_user ON auth.sessions (user_id, id DESC) WHERE ended_at IS NULL;
CREATE INDEX idx_sessions_expires ON auth.sessions (expires_at);

-- The chain of a session's refresh tokens. Only hashes are stored.
CREATE TABLE auth.refresh_tokens (
    hash       bytea       PRIMARY KEY,
    session_id uuid        NOT NULL REFERENCES auth.sessions (id) ON DELETE CASCADE,
    -- The token that this one replaced.
    parent     bytea,
    created_at timestamptz NOT NULL,
    -- Set when it was exchanged for its successor.
    used_at    timestamptz
);

CREATE INDEX idx_refresh_tokens_session ON auth.refresh_tokens (session_id);
