use sqlx::PgConnection;
use time::OffsetDateTime;
use typed_id::UserId;
use uuid::Uuid;

/// Removes who it is from the account. Its id stays, as what others hold under it does. The version after it.
pub async fn blank_account(
    db: &mut PgConnection,
    user: UserId,
    now: OffsetDateTime,
) -> Result<Option<i32>, sqlx::Error> {
    // A platform table: the macros do not see it.
    sqlx::query("DELETE FROM auth.outbox WHERE subject = $1::text AND published_at IS NOT NULL")
        .bind(user.0)
        .execute(&mut *db)
        .await?;
    sqlx::query_scalar!(
        "WITH s AS (DELETE FROM auth.sessions WHERE user_id = $1),
              p AS (DELETE FROM auth.passwords WHERE user_id = $1),
              t AS (DELETE FROM auth.totp WHERE user_id = $1),
              r AS (DELETE FROM auth.recovery_codes WHERE user_id = $1),
              o AS (DELETE FROM auth.one_time_tokens WHERE user_id = $1),
              i AS (DELETE FROM auth.identities WHERE user_id = $1),
              b AS (DELETE FROM auth.oidc_sign_ins WHERE user_id = $1),
              x AS (UPDATE auth.operations SET result = NULL, input = NULL,
                        state = CASE WHEN state = 'running' AND kind = 'personal_data_export' THEN 'failed' ELSE state END,
                        finished_at = CASE WHEN state = 'running' AND kind = 'personal_data_export' THEN $2 ELSE finished_at END
                    WHERE owner_id = $1 OR subject_id = $1)
         UPDATE auth.users SET email = 'erased-' || id || '@erased.invalid', email_key = 'erased-' || id || '@erased.invalid',
             full_name = '', department = '', student_id = '', external_id = '', is_active = false, totp_enabled = false,
             email_verified_at = NULL, updated_at = $2, version = version + 1
         WHERE id = $1 RETURNING version",
        user.0,
        now
    )
    .fetch_optional(db)
    .await
}

/// Whether it was begun for somebody; the account is without a name since.
pub async fn is_erased(db: &mut PgConnection, user: UserId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM auth.erasures WHERE user_id = $1) AS "exists!""#,
        user.0
    )
    .fetch_one(db)
    .await
}

pub async fn begin(
    db: &mut PgConnection,
    user: UserId,
    operation: Uuid,
    services: &[String],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.erasures (user_id, operation_id, requested_at, waiting_for) VALUES ($1, $2, $3, $4)
         ON CONFLICT (user_id) DO NOTHING",
        user.0,
        operation,
        now,
        services
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A service has answered; the last one completes the erasure and its operation.
pub async fn answered(
    db: &mut PgConnection,
    user: UserId,
    service: &str,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH answered AS (
             UPDATE auth.erasures SET waiting_for = array_remove(waiting_for, $2),
                 completed_at = CASE WHEN array_remove(waiting_for, $2) = '{}' THEN coalesce(completed_at, $3) END
             WHERE user_id = $1 RETURNING operation_id, waiting_for, completed_at)
         UPDATE auth.operations o SET done = o.total - cardinality(a.waiting_for), finished_at = a.completed_at,
             state = CASE WHEN a.completed_at IS NULL THEN 'running' ELSE 'succeeded' END
         FROM answered a WHERE o.id = a.operation_id",
        user.0,
        service,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}
