-- Secrets of mails: verification, password reset. Only hashes are stored.
CREATE TABLE auth.one_time_tokens (
    hash       bytea       PRIMARY KEY,
    user_id    uuid        NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    purpose    text        NOT NULL CONSTRAINT one_time_tokens_purpose_check CHECK (purpose IN ('verify_email', 'reset_password')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);

CREATE INDEX idx_one_time_tokens_user ON auth.one_time_tokens (user_id, purpose);
CREATE INDEX idx_one_time_tokens_expires ON auth.one_time_tokens (expires_at);

-- Tokens that stop being valid before they expire; the record behind all caches and mirrors.
CREATE TABLE auth.revocations (
    kind       text        NOT NULL CONSTRAINT revocations_kind_check CHECK (kind IN ('session', 'user', 'token')),
    subject    text        NOT NULL,
    revoked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- By the database's clock: what readers page by.
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, subject)
);

CREATE INDEX idx_revocations_written ON auth.revocations (written_at);

-- The keys of access tokens. The private half is encrypted.
CREATE TABLE auth.signing_keys (
    kid         text        PRIMARY KEY,
    private_key bytea       NOT NULL,
    created_at  timestamptz NOT NULL,
    -- Published before it signs, so that every verifier knows it by then.
    signs_from  timestamptz NOT NULL,
    -- Published until its last token has expired.
    retires_at  timestamptz NOT NULL
);
