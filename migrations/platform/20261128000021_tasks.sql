-- Work of this service in the background: a row is written in the transaction that wants it, and says that it is done in the
-- transaction of the effect. The broker carries the task; this is what is true of it.
CREATE TABLE tasks (
    id          uuid        PRIMARY KEY,
    kind        text        NOT NULL,
    lane        text        NOT NULL CHECK (lane IN ('high', 'default', 'low')),
    state       text        NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'waiting', 'succeeded', 'dead')),
    -- Tries that were begun and count.
    attempts    integer     NOT NULL DEFAULT 0,
    -- Grows with each run: whoever has an older number has lost the task.
    fencing     bigint      NOT NULL DEFAULT 0,
    enqueued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at  timestamptz,
    finished_at timestamptz,
    -- While it waits: not before.
    due_at      timestamptz,
    -- While it runs: until then without a further sign of life.
    lease_until timestamptz,
    instance    text        NOT NULL DEFAULT '',
    -- What it did, or why it did not.
    detail      text        NOT NULL DEFAULT '',
    traceparent text,
    request_id  text
);

CREATE INDEX idx_tasks_open ON tasks (lane, state) WHERE state IN ('queued', 'running', 'waiting');
CREATE INDEX idx_tasks_dead ON tasks (finished_at) WHERE state = 'dead';
CREATE INDEX idx_tasks_succeeded ON tasks (finished_at) WHERE state = 'succeeded';

-- Kinds with a rate limit: when the next one may begin, in whichever process.
CREATE TABLE task_rates (
    kind    text        PRIMARY KEY,
    next_at timestamptz NOT NULL
);
