-- What a mail is about, so that it can be unsubscribed from; `digest` for summaries, which are about everything but the account.
ALTER TABLE notification.mails
    ADD COLUMN topic text NOT NULL DEFAULT 'account',
    DROP CONSTRAINT mails_state_check,
    -- Cancelled: unsubscribed from while it waited.
    ADD CONSTRAINT mails_state_check CHECK (state IN ('pending', 'sent', 'failed', 'cancelled'));

UPDATE notification.mails SET topic = 'courses' WHERE kind = 'enrollment_created';

-- Serves the turn of those that waited longest.
CREATE INDEX idx_mails_longest_due ON notification.mails (next_attempt_at) WHERE state = 'pending';
-- Serves unsubscribing.
CREATE INDEX idx_mails_pending_user ON notification.mails (user_id) WHERE state = 'pending';

-- How many mails a user was given for an hour: the hourly cap.
CREATE TABLE notification.mail_budgets (
    user_id uuid        NOT NULL,
    hour    timestamptz NOT NULL,
    used    integer     NOT NULL,
    PRIMARY KEY (user_id, hour)
);
CREATE INDEX idx_mail_budgets_hour ON notification.mail_budgets (hour);
