-- A signing key that is taken out of use revokes all tokens that it has signed.
ALTER TABLE auth.revocations DROP CONSTRAINT revocations_kind_check;
ALTER TABLE auth.revocations ADD CONSTRAINT revocations_kind_check CHECK (kind IN ('session', 'user', 'token', 'key'));
