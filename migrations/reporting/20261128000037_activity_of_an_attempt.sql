-- What was told of an attempt before: its grade, and whether a grade is another one or was only told of again.
CREATE INDEX idx_activity_attempt ON reporting.activity (subject_id, version)
    WHERE kind IN ('exam.attempt_submitted', 'exam.attempt_graded');
