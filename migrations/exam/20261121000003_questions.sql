CREATE TABLE exam.questions (
    id          uuid        PRIMARY KEY,
    course_id   uuid        NOT NULL,
    -- NULL: in the course's bank.
    exam_id     uuid        REFERENCES exam.exams (id),
    order_index integer     NOT NULL,
    version     integer     NOT NULL,
    -- The latest version of its content, kept in exam.question_versions too.
    content     jsonb       NOT NULL,
    tags        text[]      NOT NULL,
    is_deleted  boolean     NOT NULL DEFAULT false,
    updated_at  timestamptz NOT NULL
);
CREATE INDEX idx_questions_exam ON exam.questions (exam_id, order_index, id) WHERE NOT is_deleted;
CREATE INDEX idx_questions_bank ON exam.questions (course_id, id) WHERE exam_id IS NULL AND NOT is_deleted;
CREATE INDEX idx_questions_tags ON exam.questions USING gin (tags) WHERE exam_id IS NULL AND NOT is_deleted;

-- Every version that there was.
CREATE TABLE exam.question_versions (
    question_id uuid        NOT NULL REFERENCES exam.questions (id),
    version     integer     NOT NULL,
    content     jsonb       NOT NULL,
    created_by  uuid        NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (question_id, version)
);
