//! What this service holds of people, and how it is erased.

use personal_data::PersonalData;

pub const PERSONAL_DATA: PersonalData = PersonalData {
    service: "catalog",
    held: &[(
        "courses",
        "SELECT id, title, description, code, academic_year, created_at FROM catalog.courses WHERE teacher_id = $1",
    )],
    // Courses stay: others learn in them.
    erase: &["DELETE FROM catalog.outbox WHERE subject = $1::text AND published_at IS NOT NULL"],
    blank: &["UPDATE catalog.teachers SET full_name = '', version = greatest(version, $2) WHERE id = $1"],
};
