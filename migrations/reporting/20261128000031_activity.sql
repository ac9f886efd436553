-- What events told of (A-OUT-12), a partition a month (A-DB-02); the service makes them ahead of time.
CREATE TABLE reporting.activity (
    -- The event's. With its time the key: an event is here once, also when it comes after the inbox has forgotten it.
    id            uuid             NOT NULL,
    at            timestamptz      NOT NULL,
    kind          text             NOT NULL,
    -- Whom it is about.
    user_id       uuid,
    course_id     uuid,
    -- What it happened to; of two grades of an attempt the one with the higher version counts.
    subject_id    uuid             NOT NULL,
    version       integer          NOT NULL,
    score_percent double precision,
    passed        boolean,
    details       jsonb            NOT NULL,
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);

-- Should a month be missing, nothing is refused.
CREATE TABLE reporting.activity_rest PARTITION OF reporting.activity DEFAULT;
CREATE INDEX idx_activity_user ON reporting.activity (user_id, at, id);
CREATE INDEX idx_activity_course ON reporting.activity (course_id, at, id);
CREATE INDEX idx_activity_kind ON reporting.activity (kind, at, id);
