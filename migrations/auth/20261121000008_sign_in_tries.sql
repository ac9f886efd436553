-- Tries at signing in, a token bucket an account or an account and known device. In the database, so that neither a restart nor
-- another instance gives an attacker a fresh one.
CREATE TABLE auth.sign_in_tries (
    -- SHA-256 of what is counted: whether there is such an account does not matter.
    subject    bytea            PRIMARY KEY,
    tokens     double precision NOT NULL,
    updated_at timestamptz      NOT NULL
);

CREATE INDEX idx_sign_in_tries_updated ON auth.sign_in_tries (updated_at);
-- Whether an account was signed in to from there before.
CREATE INDEX idx_sessions_device ON auth.sessions (user_id, ip);
