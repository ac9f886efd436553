//! What this service holds of people, and how it is erased.

use personal_data::PersonalData;

/// Scores and comments are told in their time: the review policy holds here too (domain/policy.rs).
macro_rules! review {
    () => {
        "CROSS JOIN LATERAL (SELECT e.review_policy = 'after_submit' OR (e.review_policy = 'after_close'
             AND coalesce(e.closes_at <= clock_timestamp(), false)
             AND NOT EXISTS (SELECT FROM exam.attempts o WHERE o.exam_id = e.id AND o.state = 'open')) AS told) AS review"
    };
}

pub const PERSONAL_DATA: PersonalData = PersonalData {
    service: "exam",
    // No keys of questions: other students still sit these exams.
    held: &[
        (
            "attempts",
            concat!(
                "SELECT a.id, a.exam_id, e.title, a.number, a.state, a.started_at, a.deadline, a.submitted_at,
                     CASE WHEN told THEN a.score END AS score, a.max_score, CASE WHEN told THEN a.passed END AS passed
                 FROM exam.attempts a JOIN exam.exams e ON e.id = a.exam_id ",
                review!(),
                " WHERE a.user_id = $1"
            ),
        ),
        (
            "answers",
            "SELECT n.attempt_id, n.question_id, n.answer, n.saved_at
             FROM exam.answers n JOIN exam.attempts a ON a.id = n.attempt_id WHERE a.user_id = $1",
        ),
        (
            "comments",
            concat!(
                "SELECT g.attempt_id, g.question_id, g.comment
                 FROM exam.grades g JOIN exam.attempts a ON a.id = g.attempt_id JOIN exam.exams e ON e.id = a.exam_id ",
                review!(),
                " WHERE a.user_id = $1 AND g.comment <> '' AND told"
            ),
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
        "INSERT INTO exam.erased_users (user_id) VALUES ($1) ON CONFLICT DO NOTHING",
        "DELETE FROM exam.accommodations WHERE user_id = $1",
        "DELETE FROM exam.accommodation_members WHERE user_id = $1",
        // Whoever saves, grades or gives more time has had these locks before, or sees afterwards that the student is erased.
        "SELECT id FROM exam.attempts WHERE user_id = $1 ORDER BY id FOR NO KEY UPDATE",
        // The server hands in what is open. A minute ago: no grace and no slow network reaches so far (storage/answers.rs), so that an
        // answer of an access token that is still valid is too late.
        "UPDATE exam.attempts SET deadline = least(deadline, clock_timestamp() - interval '1 minute')
         WHERE user_id = $1 AND state = 'open'",
        "UPDATE exam.answers n SET answer = answer - 'text' FROM exam.attempts a
         WHERE a.id = n.attempt_id AND a.user_id = $1 AND jsonb_typeof(answer) = 'object'",
        "UPDATE exam.grades g SET comment = '' FROM exam.attempts a
         WHERE a.id = g.attempt_id AND a.user_id = $1 AND g.comment <> ''",
        "DELETE FROM exam.outbox WHERE subject = $1::text AND published_at IS NOT NULL",
    ],
    blank: &["UPDATE exam.users SET full_name = '', version = greatest(version, $2) WHERE id = $1"],
};
