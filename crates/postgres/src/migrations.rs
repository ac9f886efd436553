//! Forward-only migrations: the platform's tables and the service's own, counted apart, all in the service's schema.

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{Connection, PgConnection};

static PLATFORM: Migrator = sqlx::migrate!("../../migrations/platform");

#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error("the database could not be used")]
    Database(#[from] sqlx::Error),
    #[error("a migration failed")]
    Migrate(#[from] MigrateError),
}

/// Brings a schema up to date. The schema exists and belongs to the role that connects.
pub async fn migrate(
    connection: &mut PgConnection,
    schema: &str,
    service: Option<Migrator>,
) -> Result<(), MigrationError> {
    set_search_path(connection, schema).await?;
    // The role ends what takes 30 s (deploy/roles.sql), and an index of a large table takes longer. `lock_timeout` stays: who waits for
    // a table has everybody else wait behind.
    sqlx::raw_sql("SET statement_timeout = 0")
        .execute(&mut *connection)
        .await?;
    for migrator in migrators(schema, service) {
        migrator.run(&mut *connection).await?;
    }
    Ok(())
}

/// How many migrations are not applied yet.
pub async fn pending(
    connection: &mut PgConnection,
    schema: &str,
    service: Option<Migrator>,
) -> Result<usize, MigrationError> {
    let mut missing = 0;
    for migrator in migrators(schema, service) {
        let known: Option<String> = sqlx::query_scalar("SELECT to_regclass($1)::text")
            .bind(migrator.table_name.as_ref())
            .fetch_one(&mut *connection)
            .await?;
        let applied = match known {
            Some(_) => connection.list_applied_migrations(&migrator.table_name).await?,
            None => Vec::new(),
        };
        let up = migrator.iter().filter(|m| !m.migration_type.is_down_migration());
        missing += up
            .filter(|m| applied.iter().all(|done| done.version != m.version))
            .count();
    }
    Ok(missing)
}

fn migrators(schema: &str, service: Option<Migrator>) -> Vec<Migrator> {
    let mut platform = Migrator::with_migrations(PLATFORM.iter().cloned().collect());
    platform.dangerous_set_table_name(format!("{schema}._platform_migrations"));
    let mut all = vec![platform];
    if let Some(mut service) = service {
        service.dangerous_set_table_name(format!("{schema}._sqlx_migrations"));
        all.push(service);
    }
    all
}

/// The platform's files name their tables without a schema, as each service has them in its own.
async fn set_search_path(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    connection.ping().await?;
    sqlx::query("SELECT set_config('search_path', $1, false)")
        .bind(format!("{schema}, extensions, public"))
        .execute(connection)
        .await?;
    Ok(())
}
