-- Addresses of institutions that events are posted to.
CREATE TABLE notification.webhooks (
    id              uuid        PRIMARY KEY,
    url             text        NOT NULL,
    description     text        NOT NULL,
    event_types     text[]      NOT NULL,
    is_active       boolean     NOT NULL DEFAULT true,
    disabled_reason text,
    -- Sealed with the installation's key; the id is authenticated with them.
    secret          bytea       NOT NULL,
    previous_secret bytea,
    previous_until  timestamptz,
    created_by      uuid        NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    -- When somebody may next take it in hand: who has it in hand moves this ahead, and so does a failure.
    turn_at         timestamptz NOT NULL,
    -- In a row.
    failures        integer     NOT NULL DEFAULT 0,
    failing_since   timestamptz,
    last_success_at timestamptz,
    CONSTRAINT webhooks_disabled_reason_check CHECK (disabled_reason IN ('admin', 'failing', 'gone')),
    CONSTRAINT webhooks_disabled_check CHECK (is_active = (disabled_reason IS NULL))
);
CREATE INDEX idx_webhooks_turn ON notification.webhooks (turn_at) WHERE is_active;
