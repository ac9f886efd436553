//! What this service holds of people, and how it is erased.

use personal_data::PersonalData;

pub const PERSONAL_DATA: PersonalData = PersonalData {
    service: "enrollment",
    held: &[
        (
            "enrollments",
            "SELECT e.id, e.course_id, c.title, e.status, e.enrolled_at, e.updated_at, e.expires_at, s.name AS section, s.term
             FROM enrollment.enrollments e LEFT JOIN enrollment.courses c ON c.id = e.course_id
             LEFT JOIN enrollment.sections s ON s.id = e.section_id WHERE e.user_id = $1",
        ),
        (
            "course_completions",
            "SELECT course_id, completed_at FROM enrollment.course_completions WHERE user_id = $1",
        ),
    ],
    // Enrolments stay, under an id that nobody knows: seats and statistics count them.
    erase: &[
        "DELETE FROM enrollment.course_completions WHERE user_id = $1",
        "DELETE FROM enrollment.outbox WHERE subject = $1::text AND published_at IS NOT NULL",
    ],
    blank: &[
        "UPDATE enrollment.users SET full_name = '', is_active = false, version = greatest(version, $2) WHERE id = $1",
    ],
};
