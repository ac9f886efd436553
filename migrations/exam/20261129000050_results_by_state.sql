-- `GET /exams/{id}/results?state=`: what waits for grading by hand, among many that do not.
CREATE INDEX idx_attempts_exam_state ON exam.attempts (exam_id, state, id DESC);
