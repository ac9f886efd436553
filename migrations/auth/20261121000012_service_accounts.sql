-- C-AUTH-19: programs of third parties, with the permissions that they were given.
CREATE TABLE auth.service_accounts (
    id          uuid        PRIMARY KEY,
    name        text        NOT NULL,
    permissions text[]      NOT NULL,
    secret_hash bytea       NOT NULL,
    created_by  uuid        NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    last_used_at timestamptz,
    ended_at    timestamptz
);

CREATE INDEX idx_service_accounts_live ON auth.service_accounts (id DESC) WHERE ended_at IS NULL;

-- Who acts as the session's user.
ALTER TABLE auth.sessions ADD COLUMN impersonator_id uuid;

-- Roles of before; a new installation gets the permissions with its roles.
UPDATE auth.roles SET permissions = permissions || ARRAY['users:impersonate', 'integrations:manage']
WHERE name = 'admin' AND NOT 'users:impersonate' = ANY (permissions);
