CREATE TABLE exam.attempts (
    id            uuid        PRIMARY KEY,
    exam_id       uuid        NOT NULL REFERENCES exam.exams (id),
    course_id     uuid        NOT NULL,
    user_id       uuid        NOT NULL,
    revision      integer     NOT NULL,
    number        integer     NOT NULL,
    state         text        NOT NULL CONSTRAINT attempts_state_check CHECK (state IN ('open', 'submitted', 'graded', 'expired')),
    -- Decides the draw and the order of options, alike on every device.
    seed          bigint      NOT NULL,
    -- In the order in which they are shown.
    question_ids  uuid[]      NOT NULL,
    started_at    timestamptz NOT NULL,
    -- NULL: none.
    deadline      timestamptz,
    submitted_at  timestamptz,
    submitted_by  text        CONSTRAINT attempts_submitted_by_check CHECK (submitted_by IN ('student', 'server')),
    answered      integer     NOT NULL DEFAULT 0,
    -- Ten-thousandths of a point.
    score         bigint,
    max_score     bigint      NOT NULL,
    passed        boolean,
    -- SHA-256 over the stored answers.
    receipt       bytea,
    version       integer     NOT NULL DEFAULT 1
) WITH (fillfactor = 80);

-- One open attempt a student and exam; numbers without gaps or twins.
CREATE UNIQUE INDEX idx_attempts_open ON exam.attempts (exam_id, user_id) WHERE state = 'open';
CREATE UNIQUE INDEX idx_attempts_number ON exam.attempts (exam_id, user_id, number);
-- What the server has to close next.
CREATE INDEX idx_attempts_due ON exam.attempts (deadline) WHERE state = 'open';
-- C-DB-06.
CREATE INDEX idx_exam_results_user ON exam.attempts (user_id, exam_id);
CREATE INDEX idx_exam_results_date ON exam.attempts (submitted_at);
CREATE INDEX idx_attempts_user_page ON exam.attempts (user_id, id DESC) WHERE state <> 'open';
CREATE INDEX idx_attempts_exam_page ON exam.attempts (exam_id, id DESC);

CREATE TABLE exam.answers (
    attempt_id  uuid        NOT NULL REFERENCES exam.attempts (id),
    question_id uuid        NOT NULL,
    -- Counted by the client: an older one never replaces a newer one.
    sequence    integer     NOT NULL,
    answer      jsonb       NOT NULL,
    -- At the gateway.
    arrived_at  timestamptz NOT NULL,
    saved_at    timestamptz NOT NULL,
    PRIMARY KEY (attempt_id, question_id)
) WITH (fillfactor = 80);

CREATE TABLE exam.grades (
    attempt_id       uuid        NOT NULL REFERENCES exam.attempts (id),
    question_id      uuid        NOT NULL,
    -- Of the key.
    question_version integer     NOT NULL,
    -- NULL: waits for grading by hand.
    score            bigint,
    max_score        bigint      NOT NULL,
    is_manual        boolean     NOT NULL DEFAULT false,
    comment          text        NOT NULL DEFAULT '',
    PRIMARY KEY (attempt_id, question_id)
);

CREATE TABLE exam.accommodations (
    exam_id       uuid    NOT NULL REFERENCES exam.exams (id),
    user_id       uuid    NOT NULL,
    extra_seconds integer NOT NULL,
    extra_percent integer NOT NULL,
    PRIMARY KEY (exam_id, user_id)
);
