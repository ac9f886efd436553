//! People who were erased. Their ids are written by the erasure (`crate::personal_data`).

use sqlx::PgExecutor;

/// Removes what came to be kept of people while they were erased, by events that were being handled meanwhile; gives the number of rows.
pub async fn forget(db: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH mails AS (
               DELETE FROM notification.mails m USING notification.erased_users e WHERE m.user_id = e.user_id
               RETURNING m.id
           ), entries AS (
               DELETE FROM notification.notifications n USING notification.erased_users e WHERE n.user_id = e.user_id
               RETURNING n.id
           ), summaries AS (
               DELETE FROM notification.digests d USING notification.erased_users e WHERE d.user_id = e.user_id
               RETURNING d.id
           ), messages AS (
               DELETE FROM notification.webhook_messages w USING notification.erased_users e WHERE w.user_id = e.user_id
               RETURNING w.id
           ), accounts AS (
               UPDATE notification.users u SET email = '', full_name = '', role = '', is_active = false
               FROM notification.erased_users e WHERE u.id = e.user_id AND u.email <> ''
               RETURNING u.id
           )
           SELECT count(*) AS "count!" FROM (
               SELECT id FROM mails UNION ALL SELECT id FROM entries UNION ALL SELECT id FROM summaries
               UNION ALL SELECT id FROM messages UNION ALL SELECT id FROM accounts) AS removed"#
    )
    .fetch_one(db)
    .await
}
