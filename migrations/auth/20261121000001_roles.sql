CREATE TABLE auth.roles (
    name        text        PRIMARY KEY,
    permissions text[]      NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
