-- Accounts of identity providers that sign in to an account here.
CREATE TABLE auth.identities (
    id           uuid        PRIMARY KEY,
    user_id      uuid        NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    -- As it was called when it was linked; what identifies it are issuer and subject.
    provider     text        NOT NULL,
    issuer       text        NOT NULL,
    subject      text        NOT NULL,
    email        text        NOT NULL,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    CONSTRAINT identities_subject_key UNIQUE (issuer, subject)
);

CREATE INDEX idx_identities_user ON auth.identities (user_id, id);
