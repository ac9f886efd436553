-- Sign-ins with an identity provider that were begun. Nonce and PKCE verifier follow from the state, of which only the hash is here.
CREATE TABLE auth.oidc_sign_ins (
    state_hash    bytea       PRIMARY KEY,
    -- Of what the client keeps: a state that somebody else got hold of is of no use.
    verifier_hash bytea       NOT NULL,
    provider      text        NOT NULL,
    issuer        text        NOT NULL,
    redirect_uri  text        NOT NULL,
    expires_at    timestamptz NOT NULL,
    -- Set when it was taken: each counts once.
    used_at       timestamptz,
    -- Who it was, where a code of a second factor is still to come.
    user_id       uuid        REFERENCES auth.users (id) ON DELETE CASCADE
);

CREATE INDEX idx_oidc_sign_ins_expires ON auth.oidc_sign_ins (expires_at);
CREATE INDEX idx_oidc_sign_ins_user ON auth.oidc_sign_ins (user_id) WHERE user_id IS NOT NULL;
