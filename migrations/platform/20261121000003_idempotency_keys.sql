-- Answers to requests with an Idempotency-Key.
CREATE TABLE idempotency_keys (
    -- The caller and the RPC.
    scope        text        NOT NULL,
    key          text        NOT NULL,
    -- SHA-256 of the request.
    fingerprint  bytea       NOT NULL,
    -- NULL while the first request runs.
    response     bytea,
    http_status  smallint,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- A process that died leaves its key locked until then.
    locked_until timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
);

CREATE INDEX idx_idempotency_keys_created ON idempotency_keys (created_at);
