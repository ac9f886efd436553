//! Everything through PgBouncer in transaction mode, where many connections of ours share few of PostgreSQL's (C-DB-09). It needs 1.21,
//! which knows prepared statements; `SC_PGBOUNCER` names a binary. Skipped where there is none.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of a test")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dev_stack::ports;
use dev_stack::stack::SERVICES;
use futures::future::join_all;
use journeys::Stack;
use journeys::api::text;
use journeys::class::{class, questions};
use journeys::people::{admin, course, exam, teacher};
use journeys::stack::StackOptions;
use reqwest::Method;
use serde_json::json;

/// Connections to PostgreSQL of each service.
const POOL: usize = 3;

#[expect(clippy::disallowed_methods, reason = "the one setting of a test")]
fn binary() -> Option<String> {
    let binary = std::env::var("SC_PGBOUNCER").unwrap_or_else(|_| "pgbouncer".into());
    let told = Command::new(&binary).arg("--version").output().ok()?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let version = told.lines().next()?.split_whitespace().last()?.to_owned();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    ((parts.next(), parts.next()) >= (Some(1), Some(21))).then_some(binary)
}

struct Pooler(Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(binary: &str, folder: &Path, port: u16) -> Pooler {
    let server = url::Url::parse(&Stack::servers().postgres).unwrap();
    let (host, server_port) = (server.host_str().unwrap(), server.port().unwrap_or(5432));
    let users = folder.join("users.txt");
    std::fs::write(&users, format!("\"{}\" \"\"\n", server.username())).unwrap();
    let settings = format!(
        "[databases]\n* = host={host} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = trust\nauth_file = {}\nauth_user = {}\n\
         auth_query = SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1\n\
         pool_mode = transaction\nmax_prepared_statements = 200\ndefault_pool_size = {POOL}\nmax_client_conn = 1000\n\
         ignore_startup_parameters = extra_float_digits,options\n",
        users.display(),
        server.username(),
    );
    let file = folder.join("pgbouncer.ini");
    std::fs::write(&file, settings).unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    // It refuses root.
    let mut command = if nix::unistd::Uid::effective().is_root() {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=nobody",
            "--regid=nogroup",
            "--clear-groups",
            "--",
            binary,
        ]);
        command
    } else {
        Command::new(binary)
    };
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let child = command
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    Pooler(child.spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_through_a_transaction_pooler() {
    let Some(binary) = binary() else {
        println!("skipped: there is no PgBouncer 1.21 or newer");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let port = ports::free(None).unwrap();
    let _pooler = start(&binary, folder.path(), port);
    let options = StackOptions {
        pooler: Some(port),
        ..StackOptions::default()
    };
    let stack = Stack::start_with(options).await;
    let boss = admin(&stack).await;
    let deniz = teacher(&stack, &boss, "deniz").await;
    let course = text(&course(&deniz, "Matematik").await, "id").to_owned();
    let exam = exam(&deniz, &course, 4, json!({})).await;
    let start = format!("/api/v1/exams/{}/attempts", text(&exam, "id"));
    let students = class(&stack, &deniz, &course, 30).await;
    let sittings = students.iter().enumerate().map(|(number, api)| {
        let start = &start;
        async move {
            let attempt = api.post(start, json!({})).await.expect(201);
            let at = format!("/api/v1/exam-attempts/{}", text(&attempt, "id"));
            let saves = questions(&attempt).into_iter().map(|(question, options)| {
                let path = format!("{at}/answers/{question}");
                let body = json!({"sequence": 1, "option_ids": [options[0]]});
                async move { api.send(Method::PUT, &path, Some(body), &[]).await.expect(200) }
            });
            // Others search meanwhile, each for something else, so that nothing is cached.
            let search = format!("/api/v1/courses?q=matematik{number}");
            let (_, found) = tokio::join!(join_all(saves), api.get(&search));
            found.expect(200);
            let result = api.post(&format!("{at}/submit"), json!({})).await.expect(200);
            assert_eq!(result["score"], 8.0);
            let mine = api.get("/api/v1/users/me/enrollments").await.expect(200);
            assert_eq!(mine["enrollments"][0]["status"], "active");
        }
    });
    join_all(sittings).await;
    // Events went their way through it, too.
    stack
        .eventually(|| async {
            (stack
                .mailbox()
                .find("class0@journey.test", "enrollment_created")
                .len()
                == 1)
                .then_some(())
        })
        .await;
    let shared = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename <> current_user";
    let connections: i64 = sqlx::query_scalar(shared)
        .fetch_one(&mut stack.superuser().await)
        .await
        .unwrap();
    println!("{} services share {connections} connections", SERVICES.len());
    assert!(
        connections <= i64::try_from(SERVICES.len() * POOL).unwrap(),
        "{connections}"
    );
}
