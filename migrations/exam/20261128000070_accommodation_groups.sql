-- More time for several students at once. Who is in several groups, or has time of their own too, gets the most of each.
CREATE TABLE exam.accommodation_groups (
    exam_id       uuid    NOT NULL REFERENCES exam.exams (id),
    name          text    NOT NULL,
    extra_seconds integer NOT NULL,
    extra_percent integer NOT NULL,
    PRIMARY KEY (exam_id, name)
);

CREATE TABLE exam.accommodation_members (
    exam_id uuid NOT NULL,
    name    text NOT NULL,
    user_id uuid NOT NULL,
    PRIMARY KEY (exam_id, name, user_id),
    FOREIGN KEY (exam_id, name) REFERENCES exam.accommodation_groups (exam_id, name) ON DELETE CASCADE
);
CREATE INDEX idx_accommodation_members_user ON exam.accommodation_members (user_id, exam_id);
