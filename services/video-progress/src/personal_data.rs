//! What this service holds of people, and how it is erased.

use personal_data::PersonalData;

pub const PERSONAL_DATA: PersonalData = PersonalData {
    service: "video-progress",
    held: &[
        (
            "progress",
            "SELECT video_id, course_id, segments, position_seconds, started_at, completed_at, updated_at
             FROM video_progress.progress WHERE user_id = $1",
        ),
        (
            "course_completions",
            "SELECT course_id, completed_at FROM video_progress.course_completions WHERE user_id = $1",
        ),
        (
            "access_log",
            "SELECT video_id, course_id, is_granted, ip, at FROM video_progress.access_log WHERE user_id = $1",
        ),
    ],
    erase: &[
        "DELETE FROM video_progress.access_log WHERE user_id = $1",
        "DELETE FROM video_progress.progress WHERE user_id = $1",
        "DELETE FROM video_progress.course_completions WHERE user_id = $1",
        "DELETE FROM video_progress.outbox WHERE subject = $1::text AND published_at IS NOT NULL",
    ],
    blank: &["UPDATE video_progress.users SET full_name = '', version = greatest(version, $2) WHERE id = $1"],
};
