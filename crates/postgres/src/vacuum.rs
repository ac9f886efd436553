//! Room of rows that are gone, given back by night.

use sqlx::{AssertSqlSafe, Connection};

use crate::Database;

/// Tables of the service's own schema in which a tenth of the rows, and no fewer than a thousand, are gone.
pub async fn bloated_tables(db: &Database) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT quote_ident(relname) FROM pg_stat_user_tables
         WHERE schemaname = $1 AND n_dead_tup >= 1000 AND n_dead_tup * 10 >= n_live_tup
         ORDER BY n_dead_tup DESC",
    )
    .bind(db.schema())
    .fetch_all(db.primary())
    .await
}

/// Vacuums one of them; one that is locked is left for the next night. It takes as long as it takes, on a connection of its own.
pub async fn vacuum(db: &Database, table: &str) -> Result<(), sqlx::Error> {
    let mut connection = db.pool().acquire().await?.detach();
    let statement = format!("VACUUM (ANALYZE, SKIP_LOCKED) {}.{table}", db.schema());
    sqlx::raw_sql("SET statement_timeout = 0")
        .execute(&mut connection)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await?;
    connection.close().await
}
