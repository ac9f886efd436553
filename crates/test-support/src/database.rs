//! A database for each test, copied from a template that has the roles, the schemas and one service's migrations.

use std::path::{Path, PathBuf};

use clock::Clock;
use dev_stack::servers;
use dev_stack::stack::apply_roles;
use postgres::{Database, DatabaseSettings};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;

use crate::cleanup;

/// Common to all tests on a server; not those of a running stack.
const ROLE_PREFIX: &str = "sctest_";
const PASSWORD: &str = "test";
/// Held shared by whoever copies a template, exclusively by whoever makes one.
const TEMPLATE_LOCK: i64 = 0x7363_7465_7374;
/// What a killed test left behind is removed after an hour.
const LEFTOVERS: &str = "SELECT datname FROM pg_database WHERE datname ~ '^sc_test_[0-9]+_'
    AND split_part(datname, '_', 3)::bigint < extract(epoch FROM now()) - 3600";

/// A fresh database with a service's schema. Dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    server: Url,
    name: String,
    service: &'static str,
}

impl TestDatabase {
    pub async fn new(service: &'static str) -> Self {
        let server: Url = crate::servers().postgres.parse().unwrap();
        let mut admin = PgConnection::connect(server.as_str()).await.unwrap();
        let root = servers::root().unwrap();
        let template = template_name(&root, service);
        lock_existing_template(&mut admin, &server, &root, service, &template).await;
        let name: String =
            sqlx::query_scalar("SELECT 'sc_test_' || extract(epoch FROM now())::bigint || '_' || $1")
                .bind(crate::unique())
                .fetch_one(&mut admin)
                .await
                .unwrap();
        execute(&mut admin, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        remove_leftovers(&mut admin).await;
        // Gives the lock back.
        admin.close().await.unwrap();
        Self {
            server,
            name,
            service,
        }
    }

    /// For the service's own role.
    pub fn url(&self) -> String {
        role_url(&self.server, &self.name, self.service)
    }

    pub fn settings(&self) -> DatabaseSettings {
        serde_json::from_value(json!({ "url": self.url() })).unwrap()
    }

    /// The service's pool, with the clock of the operating system.
    pub fn database(&self) -> Database {
        self.database_with(Clock::system())
    }

    pub fn database_with(&self, clock: Clock) -> Database {
        Database::connect(&self.settings(), self.service, clock).unwrap()
    }

    /// A connection as superuser, to look at what is stored and at who is connected.
    pub async fn superuser(&self) -> PgConnection {
        PgConnection::connect(at(&self.server, &self.name).as_str())
            .await
            .unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        cleanup::run(async move {
            if let Ok(mut admin) = PgConnection::connect(server.as_str()).await {
                drop_database(&mut admin, &name).await;
            }
        });
    }
}

/// Makes the template where it is missing; afterwards the connection holds the shared lock.
async fn lock_existing_template(
    admin: &mut PgConnection,
    server: &Url,
    root: &Path,
    service: &str,
    template: &str,
) {
    loop {
        lock(admin, "pg_advisory_lock_shared").await;
        if exists(admin, template).await {
            return;
        }
        lock(admin, "pg_advisory_unlock_shared").await;
        lock(admin, "pg_advisory_lock").await;
        if !exists(admin, template).await {
            make_template(admin, server, root, service, template).await;
        }
        lock(admin, "pg_advisory_unlock").await;
    }
}

async fn make_template(admin: &mut PgConnection, server: &Url, root: &Path, service: &str, template: &str) {
    let old: Vec<String> = sqlx::query_scalar("SELECT datname FROM pg_database WHERE datname ~ $1")
        .bind(format!("^sc_template_{service}_"))
        .fetch_all(&mut *admin)
        .await
        .unwrap();
    for name in old {
        execute(admin, format!("ALTER DATABASE {name} IS_TEMPLATE false")).await;
        drop_database(admin, &name).await;
    }
    execute(admin, format!("CREATE DATABASE {template} TEMPLATE template0")).await;
    apply_roles(root, &at(server, template), ROLE_PREFIX, |_| PASSWORD.to_owned()).unwrap();
    let mut own = PgConnection::connect(&role_url(server, template, service))
        .await
        .unwrap();
    let migrator = Migrator::new(root.join("migrations").join(folder(service)))
        .await
        .unwrap();
    postgres::migrate(&mut own, service, Some(migrator))
        .await
        .unwrap();
    own.close().await.unwrap();
    // Marks it as complete.
    execute(admin, format!("ALTER DATABASE {template} IS_TEMPLATE true")).await;
}

/// Where the migrations of a schema are.
fn folder(service: &str) -> String {
    service.replace('_', "-")
}

/// Changes with everything that a template is made of.
fn template_name(root: &Path, service: &str) -> String {
    let mut files = vec![root.join("deploy/roles.sql")];
    for name in ["platform".to_owned(), folder(service)] {
        files.extend(sorted_files(&root.join("migrations").join(name)));
    }
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.file_name().unwrap().as_encoded_bytes());
        hash.update(std::fs::read(&file).unwrap());
    }
    format!("sc_template_{service}_{}", &hex::encode(hash.finalize())[..16])
}

fn sorted_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn exists(admin: &mut PgConnection, template: &str) -> bool {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)")
        .bind(template)
        .fetch_one(admin)
        .await
        .unwrap()
}

async fn lock(admin: &mut PgConnection, function: &str) {
    execute(admin, format!("SELECT {function}({TEMPLATE_LOCK})")).await;
}

async fn remove_leftovers(admin: &mut PgConnection) {
    let names: Vec<String> = sqlx::query_scalar(LEFTOVERS)
        .fetch_all(&mut *admin)
        .await
        .unwrap();
    for name in names {
        drop_database(admin, &name).await;
    }
}

/// Best effort: another test may be removing it too.
async fn drop_database(admin: &mut PgConnection, name: &str) {
    let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    if let Err(fault) = sqlx::query(AssertSqlSafe(statement)).execute(admin).await {
        tracing::debug!(
            name,
            error = &fault as &dyn std::error::Error,
            "a test's database stays"
        );
    }
}

async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::query(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .unwrap();
}

fn at(server: &Url, database: &str) -> Url {
    let mut url = server.clone();
    url.set_path(database);
    url
}

fn role_url(server: &Url, database: &str, service: &str) -> String {
    let mut url = at(server, database);
    url.set_username(&format!("{ROLE_PREFIX}{service}")).unwrap();
    url.set_password(Some(PASSWORD)).unwrap();
    url.into()
}
