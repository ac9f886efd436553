-- An event as it is posted, for all webhooks alike. Its id is that of the event.
CREATE TABLE notification.webhook_messages (
    id         uuid        PRIMARY KEY,
    event_type text        NOT NULL,
    -- As it is signed, byte by byte.
    body       text        NOT NULL,
    -- Whom it tells of, for export and erasure.
    user_id    uuid,
    created_at timestamptz NOT NULL
);
CREATE INDEX idx_webhook_messages_user ON notification.webhook_messages (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX idx_webhook_messages_created ON notification.webhook_messages (created_at);

CREATE TABLE notification.webhook_deliveries (
    id               uuid        PRIMARY KEY,
    webhook_id       uuid        NOT NULL REFERENCES notification.webhooks (id) ON DELETE CASCADE,
    message_id       uuid        NOT NULL REFERENCES notification.webhook_messages (id) ON DELETE CASCADE,
    state            text        NOT NULL DEFAULT 'pending',
    attempts         integer     NOT NULL DEFAULT 0,
    created_at       timestamptz NOT NULL,
    -- Again when it is replayed.
    queued_at        timestamptz NOT NULL,
    next_attempt_at  timestamptz NOT NULL,
    last_attempt_at  timestamptz,
    last_status      integer,
    last_error       text        NOT NULL DEFAULT '',
    last_response    text        NOT NULL DEFAULT '',
    last_duration_ms integer     NOT NULL DEFAULT 0,
    CONSTRAINT webhook_deliveries_state_check CHECK (state IN ('pending', 'delivered', 'failed'))
);
-- One an event and webhook, however often the event is delivered to us.
CREATE UNIQUE INDEX idx_webhook_deliveries_message ON notification.webhook_deliveries (message_id, webhook_id);
CREATE INDEX idx_webhook_deliveries_page ON notification.webhook_deliveries (webhook_id, id DESC);
CREATE INDEX idx_webhook_deliveries_state ON notification.webhook_deliveries (webhook_id, state, id DESC);
CREATE INDEX idx_webhook_deliveries_due ON notification.webhook_deliveries (webhook_id, next_attempt_at) WHERE state = 'pending';
