CREATE TABLE auth.users (
    id                uuid        PRIMARY KEY,
    -- As given.
    email             text        NOT NULL,
    -- Normalised: what identifies the account.
    email_key         text        NOT NULL,
    full_name         text        NOT NULL,
    role              text        NOT NULL CONSTRAINT users_role_fkey REFERENCES auth.roles (name),
    locale            text        NOT NULL,
    time_zone         text        NOT NULL DEFAULT 'Europe/Istanbul',
    email_verified_at timestamptz,
    is_active         boolean     NOT NULL DEFAULT true,
    version           integer     NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL
);

-- C-DB-01, C-DB-02, A-DB-01.
CREATE UNIQUE INDEX idx_users_email ON auth.users (email_key);
CREATE INDEX idx_users_active ON auth.users (is_active) WHERE is_active;
CREATE INDEX idx_users_role_active ON auth.users (role, is_active, id DESC);

CREATE TABLE auth.passwords (
    user_id    uuid        PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE,
    hash       text        NOT NULL,
    updated_at timestamptz NOT NULL
);

-- Search by part of a name or an address.
CREATE INDEX idx_users_search ON auth.users USING gin ((lower(full_name) || ' ' || email_key) extensions.gin_trgm_ops);
