//! What this service holds of people, and how it is erased.

use personal_data::PersonalData;

pub const PERSONAL_DATA: PersonalData = PersonalData {
    service: "exam",
    // No keys of questions: other students still sit these exams.
    held: &[
        (
            "attempts",
            // No scores before their time: the review policy holds here too (domain/policy.rs).
            "SELECT a.id, a.exam_id, e.title, a.number, a.state, a.started_at, a.deadline, a.submitted_at,
                 CASE WHEN told THEN a.score END AS score, a.max_score, CASE WHEN told THEN a.passed END AS passed
             FROM exam.attempts a JOIN exam.exams e ON e.id = a.exam_id
             CROSS JOIN LATERAL (SELECT e.review_policy = 'after_submit' OR (e.review_policy = 'after_close'
                 AND coalesce(e.closes_at <= clock_timestamp(), false)
                 AND NOT EXISTS (SELECT FROM exam.attempts o WHERE o.exam_id = e.id AND o.state = 'open')) AS told) AS review
             WHERE a.user_id = $1",
        ),
        (
            "answers",
            "SELECT n.attempt_id, n.question_id, n.answer, n.saved_at
             FROM exam.answers n JOIN exam.attempts a ON a.id = n.attempt_id WHERE a.user_id = $1",
        ),
        (
            "accommodation_groups",
            "SELECT exam_id, name FROM exam.accommodation_members WHERE user_id = $1",
        ),
        (
            "accommodations",
            "SELECT exam_id, extra_seconds, extra_percent FROM exam.accommodations WHERE user_id = $1",
        ),
    ],
    // Scores stay, under an id that nobody knows: institutions have to keep them, and item analysis counts them.
    erase: &[
        "DELETE FROM exam.accommodations WHERE user_id = $1",
        "DELETE FROM exam.accommodation_members WHERE user_id = $1",
        "UPDATE exam.answers n SET answer = answer - 'text' FROM exam.attempts a
         WHERE a.id = n.attempt_id AND a.user_id = $1 AND a.state <> 'open' AND jsonb_typeof(answer) = 'object'",
        "DELETE FROM exam.outbox WHERE subject = $1::text AND published_at IS NOT NULL",
    ],
    blank: &["UPDATE exam.users SET full_name = '', version = greatest(version, $2) WHERE id = $1"],
};
