//! Monthly partitions of tables that only grow.

use sqlx::AssertSqlSafe;

use crate::Database;

/// Makes the partitions of this month and the following ones, `months` in all, of a table in the service's own schema.
pub async fn ensure_months(db: &Database, table: &str, months: u32) -> Result<(), sqlx::Error> {
    let schema = db.schema();
    for ahead in 0..months {
        // Names and bounds are our own and the server's; nothing comes from outside.
        let sql = format!(
            "DO $$
             DECLARE first date := date_trunc('month', now() AT TIME ZONE 'UTC')::date + make_interval(months => {ahead});
             BEGIN
                 EXECUTE format(
                     'CREATE TABLE IF NOT EXISTS {schema}.{table}_%s PARTITION OF {schema}.{table}
                          FOR VALUES FROM (%L) TO (%L)',
                     to_char(first, 'YYYY_MM'), first::text || ' 00:00+00', (first + interval '1 month')::date::text || ' 00:00+00');
             EXCEPTION WHEN check_violation THEN
                 -- Rows of that month are in the default partition already, and the rest of them goes there too.
                 RAISE WARNING 'no partition of {table} for %', first;
             END $$"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(db.primary()).await?;
    }
    Ok(())
}

/// Drops the partitions of months that ended more than `keep` months ago; gives their number. Nothing is dropped when `keep` is 0.
pub async fn drop_months(db: &Database, table: &str, keep: u32) -> Result<usize, sqlx::Error> {
    if keep == 0 {
        return Ok(0);
    }
    let parent = format!("{}.{table}", db.schema());
    let old: Vec<String> = sqlx::query_scalar(
        "SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = $1::regclass AND c.relname ~ '_[0-9]{4}_[0-9]{2}$'
           AND right(c.relname, 7) < to_char(now() AT TIME ZONE 'UTC' - make_interval(months => $2), 'YYYY_MM')",
    )
    .bind(parent)
    .bind(i32::try_from(keep).unwrap_or(i32::MAX))
    .fetch_all(db.primary())
    .await?;
    for partition in &old {
        let statement = format!("DROP TABLE {partition}");
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(db.primary())
            .await?;
    }
    Ok(old.len())
}
