-- Who changed what about scores and deadlines; never updated, never deleted.
CREATE TABLE exam.audit (
    id         uuid        PRIMARY KEY,
    exam_id    uuid        NOT NULL,
    attempt_id uuid,
    actor_id   uuid        NOT NULL,
    action     text        NOT NULL,
    detail     jsonb       NOT NULL,
    at         timestamptz NOT NULL
);
CREATE INDEX idx_audit_exam ON exam.audit (exam_id, id);
