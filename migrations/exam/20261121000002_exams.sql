CREATE TABLE exam.exams (
    id                 uuid        PRIMARY KEY,
    course_id          uuid        NOT NULL,
    title              text        NOT NULL,
    description        text        NOT NULL,
    state              text        NOT NULL CONSTRAINT exams_state_check CHECK (state IN ('draft', 'published', 'archived')),
    -- NULL: no limit.
    time_limit_seconds integer     CONSTRAINT exams_time_limit_check CHECK (time_limit_seconds > 0),
    opens_at           timestamptz,
    closes_at          timestamptz,
    hard_end           boolean     NOT NULL,
    -- 0: any number.
    max_attempts       integer     NOT NULL,
    attempt_scoring    text        NOT NULL CONSTRAINT exams_scoring_check CHECK (attempt_scoring IN ('best', 'last', 'first', 'average')),
    cooldown_seconds   integer     NOT NULL,
    shuffle_questions  boolean     NOT NULL,
    shuffle_options    boolean     NOT NULL,
    negative_marking   boolean     NOT NULL,
    wrongs_per_right   integer     NOT NULL,
    pass_percent       integer     NOT NULL,
    review_policy      text        NOT NULL CONSTRAINT exams_review_check CHECK (review_policy IN ('never', 'after_submit', 'after_close')),
    -- [{"tag": ..., "count": ...}]
    draw               jsonb       NOT NULL,
    version            integer     NOT NULL DEFAULT 1,
    -- The published one; 0 before the first.
    revision           integer     NOT NULL DEFAULT 0,
    -- Questions of one attempt at the published revision.
    question_count     integer     NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL
);
CREATE INDEX idx_exams_course ON exam.exams (course_id, id DESC) WHERE state <> 'archived';

-- What was published: questions with keys and rules, never changed. Attempts refer to it.
CREATE TABLE exam.revisions (
    exam_id    uuid        NOT NULL REFERENCES exam.exams (id),
    revision   integer     NOT NULL,
    content    jsonb       NOT NULL,
    created_by uuid        NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (exam_id, revision)
);
