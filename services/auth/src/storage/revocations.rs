use access_token::{Revocation, RevocationKind};
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

struct Row {
    kind: String,
    subject: String,
    revoked_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

/// Writes entries in one statement; of two for the same subject the later one counts.
pub async fn put(db: &mut PgConnection, entries: &[Revocation]) -> Result<(), sqlx::Error> {
    let kinds: Vec<String> = entries
        .iter()
        .map(|entry| entry.kind.as_str().to_owned())
        .collect();
    let subjects: Vec<String> = entries.iter().map(|entry| entry.subject.clone()).collect();
    let revoked: Vec<OffsetDateTime> = entries.iter().map(|entry| entry.revoked_at).collect();
    let expires: Vec<OffsetDateTime> = entries.iter().map(|entry| entry.expires_at).collect();
    sqlx::query!(
        "INSERT INTO auth.revocations AS r (kind, subject, revoked_at, expires_at)
         SELECT kind, subject, max(revoked_at), max(expires_at)
         FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
              AS new (kind, subject, revoked_at, expires_at)
         GROUP BY kind, subject ORDER BY kind, subject
         ON CONFLICT (kind, subject) DO UPDATE
         SET revoked_at = greatest(r.revoked_at, excluded.revoked_at), expires_at = greatest(r.expires_at, excluded.expires_at),
             written_at = clock_timestamp()",
        &kinds,
        &subjects,
        &revoked,
        &expires,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The database's clock.
pub async fn clock(db: impl PgExecutor<'_>) -> Result<OffsetDateTime, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#)
        .fetch_one(db)
        .await
}

/// Live entries written since a moment of the database's clock.
pub async fn since(
    db: impl PgExecutor<'_>,
    since: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<Vec<Revocation>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT kind, subject, revoked_at, expires_at FROM auth.revocations
         WHERE expires_at > $2 AND ($1::timestamptz IS NULL OR written_at >= $1)",
        since,
        now,
    )
    .fetch_all(db)
    .await?;
    let entries = rows.into_iter().filter_map(|row| {
        let kind = RevocationKind::parse(&row.kind)?;
        Some(Revocation {
            kind,
            subject: row.subject,
            revoked_at: row.revoked_at,
            expires_at: row.expires_at,
        })
    });
    Ok(entries.collect())
}

pub async fn purge(db: impl PgExecutor<'_>, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM auth.revocations WHERE expires_at < $1", before)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
