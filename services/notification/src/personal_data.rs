//! What this service holds of people, and how it is erased.

use personal_data::PersonalData;

pub const PERSONAL_DATA: PersonalData = PersonalData {
    service: "notification",
    held: &[
        (
            "notifications",
            "SELECT kind, title, body, link, created_at, read_at FROM notification.notifications WHERE user_id = $1",
        ),
        (
            "mails",
            "SELECT kind, address, subject, state, created_at, sent_at FROM notification.mails WHERE user_id = $1",
        ),
    ],
    erase: &[
        "DELETE FROM notification.mails WHERE user_id = $1",
        "DELETE FROM notification.notifications WHERE user_id = $1",
        "DELETE FROM notification.outbox WHERE subject = $1::text AND published_at IS NOT NULL",
    ],
    blank: &[
        "UPDATE notification.users SET email = '', full_name = '', is_active = false, version = greatest(version, $2)
         WHERE id = $1",
    ],
};
