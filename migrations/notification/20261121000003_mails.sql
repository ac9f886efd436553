-- The queue of outgoing mails. A mail is rendered when it is queued, in the transaction of its event.
CREATE TABLE notification.mails (
    id              uuid        PRIMARY KEY,
    user_id         uuid        NOT NULL,
    event_id        uuid        NOT NULL,
    kind            text        NOT NULL,
    -- 0 = high (verification, reset), 1 = default, 2 = low (summaries).
    priority        smallint    NOT NULL,
    address         text        NOT NULL,
    recipient_name  text        NOT NULL,
    subject         text        NOT NULL,
    -- Emptied when the mail is sent: some hold one-time links.
    text_body       text        NOT NULL,
    html_body       text        NOT NULL,
    state           text        NOT NULL DEFAULT 'pending',
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    last_error      text,
    created_at      timestamptz NOT NULL,
    sent_at         timestamptz,
    CONSTRAINT mails_state_check CHECK (state IN ('pending', 'sent', 'failed'))
);

-- One mail an event, recipient and kind, however often the event is delivered.
CREATE UNIQUE INDEX idx_mails_event_user_kind ON notification.mails (event_id, user_id, kind);
CREATE INDEX idx_mails_due ON notification.mails (priority, next_attempt_at) WHERE state = 'pending';
