//! What this service holds of people, and how it is erased.

use personal_data::PersonalData;

pub const PERSONAL_DATA: PersonalData = PersonalData {
    service: "reporting",
    held: &[
        (
            "activity",
            // Without scores that their review policy still holds back.
            "SELECT id, at, kind, course_id, subject_id,
                 CASE WHEN details->>'is_released' = 'false' THEN '{}' ELSE details END AS details
             FROM reporting.activity WHERE user_id = $1",
        ),
        (
            "what_they_did_for_others",
            "SELECT id, at, kind, course_id FROM reporting.activity WHERE actor_id = $1 AND user_id IS DISTINCT FROM $1",
        ),
        (
            "weekly_summaries",
            "SELECT first_day, made_at FROM reporting.weekly_summaries WHERE teacher_id = $1",
        ),
        (
            "reports",
            "SELECT id, kind, format, course_id, state, created_at FROM reporting.operations WHERE owner_id = $1",
        ),
    ],
    erase: &[
        "INSERT INTO reporting.erased_users (user_id) VALUES ($1) ON CONFLICT DO NOTHING",
        "UPDATE reporting.activity SET actor_id = NULL WHERE actor_id = $1",
        // What happened stays, as figures of the past count it, under an id that is nobody's.
        "WITH stranger AS MATERIALIZED (SELECT gen_random_uuid() AS id)
         UPDATE reporting.activity SET user_id = stranger.id,
             subject_id = CASE WHEN subject_id = $1 THEN stranger.id ELSE subject_id END
         FROM stranger WHERE user_id = $1",
        "DELETE FROM reporting.weekly_summaries WHERE teacher_id = $1",
        // Their files go with the next cleaning.
        "DELETE FROM reporting.operations WHERE owner_id = $1",
        "DELETE FROM reporting.outbox WHERE subject = $1::text AND published_at IS NOT NULL",
    ],
    blank: &["UPDATE reporting.users SET full_name = '', version = greatest(version, $2) WHERE id = $1"],
};
