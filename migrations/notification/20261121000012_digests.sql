-- Summaries that are to be sent: one a user and moment. Gone once its mail is queued.
CREATE TABLE notification.digests (
    user_id uuid        NOT NULL,
    due_at  timestamptz NOT NULL,
    -- Stands for the event of the mail.
    id      uuid        NOT NULL,
    PRIMARY KEY (user_id, due_at)
);
CREATE INDEX idx_digests_due ON notification.digests (due_at);

CREATE TABLE notification.digest_items (
    id         uuid        PRIMARY KEY,
    user_id    uuid        NOT NULL,
    due_at     timestamptz NOT NULL,
    event_id   uuid        NOT NULL,
    kind       text        NOT NULL,
    category   text        NOT NULL,
    title      text        NOT NULL,
    body       text        NOT NULL,
    link       text        NOT NULL,
    created_at timestamptz NOT NULL,
    -- An item for a summary that is just being sent is refused, not lost: its event comes again.
    CONSTRAINT digest_items_digest_fkey FOREIGN KEY (user_id, due_at)
        REFERENCES notification.digests (user_id, due_at) ON DELETE CASCADE
);
CREATE UNIQUE INDEX idx_digest_items_event_user_kind ON notification.digest_items (event_id, user_id, kind);
CREATE INDEX idx_digest_items_digest ON notification.digest_items (user_id, due_at, id);
