//! The tool itself against a real broker and a real database.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use contracts::events::v1::{UserRegistered, UserVerificationRequested};
use event_bus::{Consumer, HandlerError, Relay, Subscription, outbox};
use postgres::{Database, WriteError};
use scheduler::{Job, Scheduler, Settings};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::Executor;
use task_queue::{Policy, Task, TaskError, Tasks, WorkerSettings, Workers, enqueue_all};
use test_support::{TestBroker, TestDatabase, eventually};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_mins(1);
const ATTEMPTS: i32 = 3;

struct Installation {
    database: TestDatabase,
    broker: TestBroker,
    db: Database,
}

impl Installation {
    async fn new() -> Self {
        Self::of("notification").await
    }

    async fn of(service: &'static str) -> Self {
        let (database, broker) = tokio::join!(TestDatabase::new(service), TestBroker::new());
        let db = database.database();
        db.primary()
            .execute("CREATE TABLE effects (what text)")
            .await
            .unwrap();
        Self { database, broker, db }
    }

    fn tool(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scctl"));
        command
            .args(arguments)
            .args(["-o", "json"])
            .env("SC_DATABASE__URL", self.database.url())
            .env("SC_AMQP__URL", self.broker.url())
            .kill_on_drop(true);
        command
    }

    async fn scctl(&self, arguments: &[&str]) -> Value {
        let done = self.tool(arguments).output().await.unwrap();
        assert!(
            done.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        serde_json::from_slice(&done.stdout).unwrap()
    }

    async fn refuses(&self, arguments: &[&str]) -> String {
        let done = self.tool(arguments).output().await.unwrap();
        assert!(!done.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&done.stderr).into_owned()
    }

    async fn dead(&self) -> Value {
        let counts = self.scctl(&["dlq", "list"]).await;
        let mut counts = counts.as_array().unwrap().iter();
        counts
            .find(|count| count["queue"] == "notification.users")
            .unwrap()["messages"]
            .clone()
    }

    async fn append(&self, event: impl contracts::Event) {
        let written: Result<(), WriteError> = self
            .db
            .write(|mut tx| async move {
                outbox::append(&mut tx, &event).await?;
                tx.commit(()).await
            })
            .await;
        written.unwrap();
    }

    async fn effects(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM effects")
            .fetch_one(self.db.primary())
            .await
            .unwrap()
    }
}

fn user(id: &str) -> UserRegistered {
    UserRegistered {
        user_id: id.to_owned(),
        ..UserRegistered::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_is_dead_after_its_attempts_and_has_its_effect_once_when_it_is_replayed() {
    let here = Installation::new().await;
    let (tries, mended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, is_mended) = (Arc::clone(&tries), Arc::clone(&mended));
    let subscription = Subscription::new("notification", "users")
        .on::<UserRegistered, _>(move |tx, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            let is_mended = is_mended.load(Ordering::SeqCst);
            Box::pin(async move {
                if !is_mended {
                    return Err(HandlerError::Transient("a fault in the program".into()));
                }
                tx.execute("INSERT INTO effects VALUES ('done')").await?;
                Ok(())
            })
        })
        .attempts(ATTEMPTS);
    let stop = CancellationToken::new();
    let bus = here.broker.bus("notification");
    let relay = tokio::spawn(Relay::new(here.db.clone(), bus.clone()).run(stop.clone()));
    let consumer = tokio::spawn(Consumer::new(here.db.clone(), bus, subscription).run(stop.clone()));
    here.append(user("ada")).await;
    here.append(user("grace")).await;
    eventually(PATIENCE, || async {
        (here.broker.messages("notification.users.dead").await == 2).then_some(())
    })
    .await;
    assert_eq!(tries.load(Ordering::SeqCst), 2 * ATTEMPTS.unsigned_abs());
    assert_eq!(here.dead().await, 2);

    // However often one looks, they stay.
    let mut shown = Value::Null;
    for _ in 0..25 {
        shown = here.scctl(&["dlq", "show", "notification.users.dead"]).await;
        assert_eq!(shown.as_array().unwrap().len(), 2);
    }
    let ada = shown
        .as_array()
        .unwrap()
        .iter()
        .find(|letter| letter["payload"]["user_id"] == "ada")
        .unwrap();
    assert_eq!(ada["type"], "user.registered");
    assert_eq!(ada["reason"], "a fault in the program");
    assert_eq!(ada["attempts"], ATTEMPTS);
    let id = ada["id"].as_str().unwrap();

    // Not mended yet: it is tried as often again.
    here.scctl(&["dlq", "replay", "notification.users", "--id", id])
        .await;
    eventually(PATIENCE, || async {
        (tries.load(Ordering::SeqCst) == 3 * ATTEMPTS.unsigned_abs()
            && here.broker.messages("notification.users.dead").await == 2)
            .then_some(())
    })
    .await;

    mended.store(true, Ordering::SeqCst);
    let replayed = here
        .scctl(&["dlq", "replay", "notification.users", "--id", id])
        .await;
    assert_eq!(replayed["replayed"], 1);
    eventually(PATIENCE, || async { (here.effects().await == 1).then_some(()) }).await;
    assert_eq!(here.dead().await, 1);

    // The other one is dropped, but not by accident.
    let refusal = here
        .refuses(&["dlq", "drop", "notification.users", "--all"])
        .await;
    assert!(refusal.contains("--yes"), "{refusal}");
    assert_eq!(here.dead().await, 1);
    here.scctl(&["dlq", "drop", "notification.users", "--all", "--yes"])
        .await;
    assert_eq!(here.dead().await, 0);
    stop.cancel();
    relay.await.unwrap();
    consumer.await.unwrap();
    assert_eq!(here.effects().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_pass_by_without_the_tokens_that_open_accounts() {
    let here = Installation::new().await;
    let mut tail = here
        .tool(&["events", "tail", "--type", "user.*", "--count", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(tail.stderr.take().unwrap()).lines();
    assert_eq!(said.next_line().await.unwrap().as_deref(), Some("listening"));
    let stop = CancellationToken::new();
    let relay = Relay::new(here.db.clone(), here.broker.bus("notification")).run(stop.clone());
    let relay = tokio::spawn(relay);
    here.append(UserVerificationRequested {
        user_id: "ada".to_owned(),
        token: "secret".to_owned(),
        ..UserVerificationRequested::default()
    })
    .await;
    let seen = tail.wait_with_output().await.unwrap();
    let event: Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(event["type"], "user.verification_requested");
    assert_eq!(event["payload"]["user_id"], "ada");
    assert_eq!(event["payload"]["token"], "(hidden)");
    stop.cancel();
    relay.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_run_by_hand_and_paused() {
    let here = Installation::new().await;
    let job = Job::new("report", "0 2 * * *", |_| async { Ok("wrote it".to_owned()) }).unwrap();
    let settings = Settings {
        poll: Duration::from_millis(20),
        ..Settings::default()
    };
    let scheduler = Scheduler::new(here.db.clone(), vec![job], "here", settings).unwrap();
    let stop = CancellationToken::new();
    let scheduling = tokio::spawn(scheduler.run(stop.clone()));
    let listed = eventually(PATIENCE, || async {
        let listed = here.scctl(&["jobs", "list"]).await;
        (listed != json!([])).then_some(listed)
    })
    .await;
    assert_eq!(listed[0]["service"], "notification");
    assert_eq!(
        (&listed[0]["name"], &listed[0]["paused"]),
        (&json!("report"), &json!(false))
    );
    here.scctl(&["jobs", "pause", "report"]).await;
    here.scctl(&["jobs", "run", "notification/report"]).await;
    let run = eventually(PATIENCE, || async {
        let history = here.scctl(&["jobs", "history", "report"]).await;
        (history[0]["state"] == "succeeded").then(|| history[0].clone())
    })
    .await;
    assert_eq!(
        (&run["detail"], &run["instance"]),
        (&json!("wrote it"), &json!("here"))
    );
    assert_eq!(here.scctl(&["jobs", "list"]).await[0]["paused"], true);
    here.scctl(&["jobs", "resume", "report"]).await;
    assert_eq!(here.scctl(&["jobs", "list"]).await[0]["paused"], false);
    let refusal = here.refuses(&["jobs", "run", "nothing"]).await;
    assert!(refusal.contains("there is no job nothing"), "{refusal}");
    stop.cancel();
    scheduling.await.unwrap();
}

#[derive(Serialize, Deserialize)]
struct Note {
    number: i32,
}

impl Task for Note {
    const NAME: &'static str = "test.note";
    const POLICY: Policy = Policy::DEFAULT.pauses(Duration::from_millis(10), Duration::from_millis(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_task_is_shown_with_its_reason_and_has_its_effect_once_when_it_is_replayed() {
    let here = Installation::of("video_progress").await;
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let tasks = Tasks::new().on::<Note, _, _>(move |task, run| {
        let is_mended = is_mended.load(Ordering::SeqCst);
        async move {
            if task.number > 0 && !is_mended {
                return Err(TaskError::transient("a fault in the program"));
            }
            run.finish(|tx| {
                Box::pin(async move {
                    tx.execute("INSERT INTO effects VALUES ('done')").await?;
                    Ok("wrote it".to_owned())
                })
            })
            .await
        }
    });
    let (stop, bus) = (CancellationToken::new(), here.broker.bus("video_progress"));
    let settings = WorkerSettings {
        high: 1,
        default: 2,
        low: 1,
        lease_seconds: 60,
    };
    let relay = tokio::spawn(Relay::new(here.db.clone(), bus.clone()).run(stop.clone()));
    let workers = Workers::new(here.db.clone(), bus, tasks, "here", settings, stop.clone());
    let workers = tokio::spawn(workers.run());
    let written = here.db.write::<_, WriteError, _, _>(|mut tx| async move {
        enqueue_all(&mut tx, &[0, 1, 2].map(|number| Note { number })).await?;
        tx.commit(()).await
    });
    written.await.unwrap();
    let dead = "video-progress.tasks.default.dead";
    eventually(PATIENCE, || async {
        (here.broker.messages(dead).await == 2 && here.effects().await == 1).then_some(())
    })
    .await;

    let lanes = here.scctl(&["tasks", "list"]).await;
    let lanes = lanes.as_array().unwrap();
    let queues: Vec<&str> = lanes.iter().map(|lane| lane["queue"].as_str().unwrap()).collect();
    let names = ["high", "default", "low"].map(|lane| format!("video-progress.tasks.{lane}"));
    assert_eq!(queues, names);
    let lane = &lanes[1];
    assert_eq!(
        (
            &lane["dead_letters"],
            &lane["succeeded_last_hour"],
            &lane["queued"],
            &lane["waiting"]
        ),
        (&json!(2), &json!(1), &json!(0), &json!(0))
    );
    let failed = here.scctl(&["tasks", "failed"]).await;
    assert_eq!(failed.as_array().unwrap().len(), 2);
    let id = failed[0]["id"].as_str().unwrap();
    let shown = here.scctl(&["tasks", "show", id]).await;
    assert_eq!(
        (
            &shown["state"],
            &shown["attempts"],
            &shown["detail"],
            &shown["kind"]
        ),
        (
            &json!("dead"),
            &json!(3),
            &json!("a fault in the program"),
            &json!("test.note")
        )
    );
    let letters = here.scctl(&["dlq", "show", dead, "--id", id]).await;
    assert_eq!(
        (
            &letters[0]["reason"],
            &letters[0]["attempts"],
            &letters[0]["type"]
        ),
        (&json!("a fault in the program"), &json!(3), &json!("test.note"))
    );

    mended.store(true, Ordering::SeqCst);
    assert_eq!(
        here.scctl(&["dlq", "replay", dead, "--id", id]).await["replayed"],
        1
    );
    eventually(PATIENCE, || async { (here.effects().await == 2).then_some(()) }).await;
    here.scctl(&["dlq", "drop", dead, "--all", "--yes"]).await;
    assert_eq!(here.broker.messages(dead).await, 0);
    assert_eq!(here.scctl(&["tasks", "show", id]).await["state"], "succeeded");
    let refusal = here
        .refuses(&["tasks", "show", "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10"])
        .await;
    assert!(refusal.contains("there is no task"), "{refusal}");
    stop.cancel();
    relay.await.unwrap();
    workers.await.unwrap();
    assert_eq!(here.effects().await, 2);
}
