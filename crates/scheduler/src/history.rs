use postgres::Database;
use sqlx::AssertSqlSafe;

/// Removes runs that were due more than 90 days ago; gives their number.
pub async fn purge_history(db: &Database) -> Result<u64, sqlx::Error> {
    let statement = format!(
        "DELETE FROM {}.job_runs WHERE scheduled_for < clock_timestamp() - interval '90 days' AND state <> 'running'",
        db.schema()
    );
    let removed = sqlx::query(AssertSqlSafe(statement))
        .execute(db.primary())
        .await?;
    Ok(removed.rows_affected())
}
