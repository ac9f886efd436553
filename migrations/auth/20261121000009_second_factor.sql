-- Time-based codes (RFC 6238). The secret is encrypted.
CREATE TABLE auth.totp (
    user_id      uuid        PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE,
    secret       bytea       NOT NULL,
    created_at   timestamptz NOT NULL,
    -- NULL until a first code was shown.
    confirmed_at timestamptz,
    -- The step of the last code that was taken: none is taken twice.
    last_step    bigint      NOT NULL DEFAULT 0
);

-- For who has lost the device. Only hashes are stored.
CREATE TABLE auth.recovery_codes (
    user_id uuid        NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    hash    bytea       NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, hash)
);

ALTER TABLE auth.users ADD COLUMN totp_enabled boolean NOT NULL DEFAULT false;
-- Holders without a second factor get tokens without the role's permissions.
ALTER TABLE auth.roles ADD COLUMN require_totp boolean NOT NULL DEFAULT false;
