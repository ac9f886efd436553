-- When students were told that they may see their results, of exams that show them after their end.
ALTER TABLE exam.exams ADD COLUMN released_at timestamptz;
CREATE INDEX idx_exams_to_release ON exam.exams (closes_at)
    WHERE review_policy = 'after_close' AND state <> 'draft' AND released_at IS NULL;
