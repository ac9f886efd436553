-- Work that outlives its request: imports, exports. Its input is kept, so that a crash does not lose it.
CREATE TABLE auth.operations (
    id           uuid        PRIMARY KEY,
    kind         text        NOT NULL CONSTRAINT operations_kind_check
                     CHECK (kind IN ('user_import', 'personal_data_export', 'erasure')),
    owner_id     uuid        NOT NULL,
    state        text        NOT NULL DEFAULT 'running' CONSTRAINT operations_state_check
                     CHECK (state IN ('running', 'succeeded', 'failed')),
    done         integer     NOT NULL DEFAULT 0,
    total        integer     NOT NULL DEFAULT 0,
    -- Emptied when it is over.
    input        bytea,
    options      jsonb       NOT NULL DEFAULT '{}',
    result       bytea,
    fault        text        NOT NULL DEFAULT '',
    tries        integer     NOT NULL DEFAULT 0,
    -- Whoever works on it renews this; another takes over after it.
    leased_until timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    finished_at  timestamptz
);

CREATE INDEX idx_operations_running ON auth.operations (leased_until, id) WHERE state = 'running';
CREATE INDEX idx_operations_owner ON auth.operations (owner_id, kind, id DESC);
CREATE INDEX idx_operations_finished ON auth.operations (finished_at) WHERE finished_at IS NOT NULL;

-- Who was erased, and which services have answered: the record that it was done.
CREATE TABLE auth.erasures (
    user_id      uuid        PRIMARY KEY,
    operation_id uuid        NOT NULL,
    requested_at timestamptz NOT NULL,
    -- Those that have yet to answer.
    waiting_for  text[]      NOT NULL,
    completed_at timestamptz
);

CREATE INDEX idx_erasures_waiting ON auth.erasures (requested_at) WHERE completed_at IS NULL;
