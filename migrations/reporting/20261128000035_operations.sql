-- Reports that are made, and those that were: their files are in the object storage.
CREATE TABLE reporting.operations (
    id           uuid        PRIMARY KEY,
    kind         text        NOT NULL CONSTRAINT operations_kind_check
                     CHECK (kind IN ('enrollments', 'progress', 'results', 'activity')),
    format       text        NOT NULL CONSTRAINT operations_format_check CHECK (format IN ('csv', 'csv_tr', 'xlsx')),
    course_id    uuid        NOT NULL,
    owner_id     uuid        NOT NULL,
    state        text        NOT NULL DEFAULT 'running' CONSTRAINT operations_state_check
                     CHECK (state IN ('running', 'succeeded', 'failed')),
    done         integer     NOT NULL DEFAULT 0,
    total        integer     NOT NULL DEFAULT 0,
    -- Of the file.
    bytes        bigint      NOT NULL DEFAULT 0,
    fault        text        NOT NULL DEFAULT '',
    -- Grows with each claim: who was overtaken changes nothing any more.
    tries        integer     NOT NULL DEFAULT 0,
    -- Whoever works on it renews this; another takes over after it.
    leased_until timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    finished_at  timestamptz
);

-- The same report is not made twice at a time.
CREATE UNIQUE INDEX operations_running_key ON reporting.operations (owner_id, course_id, kind, format) WHERE state = 'running';
CREATE INDEX idx_operations_running ON reporting.operations (leased_until, id) WHERE state = 'running';
CREATE INDEX idx_operations_owner ON reporting.operations (owner_id);
CREATE INDEX idx_operations_finished ON reporting.operations (finished_at) WHERE finished_at IS NOT NULL;
