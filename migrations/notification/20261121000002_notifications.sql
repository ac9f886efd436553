CREATE TABLE notification.notifications (
    id         uuid        PRIMARY KEY,
    user_id    uuid        NOT NULL,
    event_id   uuid        NOT NULL,
    kind       text        NOT NULL,
    title      text        NOT NULL,
    body       text        NOT NULL,
    link       text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    read_at    timestamptz
);

-- One notification an event and recipient, however often the event is delivered.
CREATE UNIQUE INDEX idx_notifications_event_user ON notification.notifications (event_id, user_id);
CREATE INDEX idx_notifications_user_page ON notification.notifications (user_id, id DESC);
-- Serves `?unread=true`, the unread count, and "read all".
CREATE INDEX idx_notifications_unread ON notification.notifications (user_id, id DESC) WHERE read_at IS NULL;
