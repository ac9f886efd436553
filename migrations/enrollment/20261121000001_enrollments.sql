CREATE TABLE enrollment.enrollments (
    id          uuid        PRIMARY KEY,
    user_id     uuid        NOT NULL,
    course_id   uuid        NOT NULL,
    status      text        NOT NULL,
    version     integer     NOT NULL DEFAULT 1,
    enrolled_at timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CONSTRAINT enrollments_status_check CHECK (status IN ('active', 'suspended', 'completed', 'dropped', 'expired'))
);

-- One enrolment a student and course, whatever its state (C-DB-03).
CREATE UNIQUE INDEX idx_enrollments_user_course ON enrollment.enrollments (user_id, course_id);
CREATE INDEX idx_enrollments_status ON enrollment.enrollments (status);

-- Keyset pages: a student's own, and a course's roster with or without a status.
CREATE INDEX idx_enrollments_user_page ON enrollment.enrollments (user_id, id DESC);
CREATE INDEX idx_enrollments_course_page ON enrollment.enrollments (course_id, id DESC);
CREATE INDEX idx_enrollments_course_status_page ON enrollment.enrollments (course_id, status, id DESC);
