-- The jobs of a service, which the scheduler of one of its instances runs at a time.
CREATE TABLE scheduled_jobs (
    name        text        PRIMARY KEY,
    cron        text        NOT NULL,
    zone        text        NOT NULL,
    -- The earliest due time that nobody has dealt with.
    next_due_at timestamptz NOT NULL,
    -- Who runs it, and until when without a further sign of life.
    lease_owner text,
    lease_until timestamptz,
    -- Grows with each run: whoever has an older number has lost the job.
    fencing     bigint      NOT NULL DEFAULT 0,
    -- Due times go by unused.
    paused      boolean     NOT NULL DEFAULT false
);

-- Each due time once; further attempts at it use the same row.
CREATE TABLE job_runs (
    id            bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    job           text        NOT NULL REFERENCES scheduled_jobs (name) ON DELETE CASCADE,
    scheduled_for timestamptz NOT NULL,
    state         text        NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'abandoned')),
    attempts      integer     NOT NULL DEFAULT 0,
    -- Due times before this one that were missed and are not made up for.
    skipped       integer     NOT NULL DEFAULT 0,
    -- Set while another attempt is to come.
    next_try_at   timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    -- What it did, or why it did not.
    detail        text        NOT NULL DEFAULT '',
    instance      text        NOT NULL DEFAULT '',
    UNIQUE (job, scheduled_for)
);

CREATE INDEX idx_job_runs_next_try ON job_runs (job, next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX idx_job_runs_running ON job_runs (job) WHERE state = 'running';
CREATE INDEX idx_job_runs_scheduled_for ON job_runs (scheduled_for);
