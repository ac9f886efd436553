//! The facts that this service tells the others: never an answer, never a key.

use contracts::events::v1::{ExamAttemptGraded, ExamAttemptSubmitted};
use contracts::timestamp;
use time::OffsetDateTime;

use crate::domain::attempt::ClosedBy;
use crate::storage::attempts::Attempt;
use crate::storage::exams::Exam;

pub fn submitted(attempt: &Attempt, exam: &Exam) -> ExamAttemptSubmitted {
    ExamAttemptSubmitted {
        attempt_id: attempt.id.into(),
        version: attempt.version + 1,
        exam_id: attempt.exam_id.into(),
        exam_title: exam.title.clone(),
        course_id: attempt.course_id.into(),
        user_id: attempt.user_id.into(),
        submitted_by: attempt.submitted_by.map_or("", ClosedBy::as_str).to_owned(),
        submitted_at: attempt.submitted_at.map(timestamp),
    }
}

pub fn graded(attempt: &Attempt, exam: &Exam, now: OffsetDateTime) -> ExamAttemptGraded {
    ExamAttemptGraded {
        attempt_id: attempt.id.into(),
        version: attempt.version + 1,
        exam_id: attempt.exam_id.into(),
        exam_title: exam.title.clone(),
        course_id: attempt.course_id.into(),
        user_id: attempt.user_id.into(),
        score: attempt.score.unwrap_or_default().0.to_string(),
        max_score: attempt.max_score.0.to_string(),
        passed: attempt.passed.unwrap_or_default(),
        is_released: exam.tells_results(),
        graded_at: Some(timestamp(now)),
    }
}
