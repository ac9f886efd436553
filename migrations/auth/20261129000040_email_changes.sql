-- Secrets of mails to an address that is to become the account's.
ALTER TABLE auth.one_time_tokens ADD COLUMN email text;
ALTER TABLE auth.one_time_tokens DROP CONSTRAINT one_time_tokens_purpose_check;
ALTER TABLE auth.one_time_tokens ADD CONSTRAINT one_time_tokens_purpose_check
    CHECK (purpose IN ('verify_email', 'reset_password', 'change_email') AND (purpose = 'change_email') = (email IS NOT NULL));
