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
        (
            "digest_items",
            "SELECT kind, title, body, link, due_at, created_at FROM notification.digest_items WHERE user_id = $1",
        ),
        (
            "preferences",
            "SELECT category, channel, frequency FROM notification.preferences WHERE user_id = $1",
        ),
        (
            "quiet_hours",
            "SELECT from_minutes, to_minutes FROM notification.quiet_hours WHERE user_id = $1",
        ),
        (
            "announcements",
            "SELECT course_id, title, body, created_at FROM notification.announcements WHERE author_id = $1",
        ),
        (
            "webhooks",
            "SELECT url, description, created_at FROM notification.webhooks WHERE created_by = $1",
        ),
        (
            "webhook_messages",
            "SELECT event_type, body, created_at FROM notification.webhook_messages WHERE user_id = $1",
        ),
    ],
    // Announcements stay: they are the course's. So do webhooks: they are the school's. What was not posted yet is not any more.
    erase: &[
        "INSERT INTO notification.erased_users (user_id) VALUES ($1) ON CONFLICT DO NOTHING",
        "DELETE FROM notification.digests WHERE user_id = $1",
        "DELETE FROM notification.mail_budgets WHERE user_id = $1",
        "DELETE FROM notification.preferences WHERE user_id = $1",
        "DELETE FROM notification.quiet_hours WHERE user_id = $1",
        "DELETE FROM notification.mails WHERE user_id = $1",
        "DELETE FROM notification.notifications WHERE user_id = $1",
        "DELETE FROM notification.webhook_messages WHERE user_id = $1",
        "DELETE FROM notification.outbox WHERE subject = $1::text AND published_at IS NOT NULL",
    ],
    blank: &[
        "UPDATE notification.users SET email = '', full_name = '', role = '', is_active = false, version = greatest(version, $2)
         WHERE id = $1",
    ],
};
