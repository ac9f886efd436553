//! Processes that stop or die, a broker that closes connections, a database that is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use task_queue::{TaskError, Tasks, WorkerSettings};
use test_support::{TestProxy, eventually};

use crate::fixture::{
    Bounded, DEAD_QUEUE, Fixture, Note, Once, PATIENCE, SETTINGS, count_up, insert, note, notes,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_gives_its_tasks_back_at_once() {
    let test = Fixture::new().await;
    let stuck = Tasks::new().on::<Once, _, _>(|_, run| async move {
        run.stop().cancelled().await;
        Err(TaskError::transient("half done"))
    });
    let (relay, first) = (test.relay(), test.workers(stuck));
    test.enqueue((0..8).map(|number| Once { number })).await;
    test.until("SELECT count(*) = 4 FROM tasks WHERE state = 'running'")
        .await;
    first.stop().await;
    assert_eq!(
        test.scalar::<i64>("SELECT count(*) FROM tasks WHERE state = 'queued' AND attempts = 0")
            .await,
        8
    );
    let able = Tasks::new().on::<Once, _, _>(|task, run| async move { count_up(&run, task.number).await });
    let second = test.workers(able);
    test.done(8).await;
    relay.stop().await;
    second.stop().await;
    assert_eq!(
        test.scalar::<i64>("SELECT count(*) FROM tasks WHERE attempts = 1")
            .await,
        8
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_release_enqueued_waits_for_it() {
    let test = Fixture::new().await;
    let (relay, older) = (test.relay(), test.workers(notes()));
    test.enqueue([Bounded { number: 1 }]).await;
    test.messages("sc.wait.16", 1).await;
    relay.stop().await;
    older.stop().await;
    assert_eq!(test.scalar::<String>("SELECT state FROM tasks").await, "queued");
    assert_eq!(test.broker.messages(DEAD_QUEUE).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_worker_that_dies_is_followed_by_another_and_one_that_returns_writes_nothing() {
    let test = Fixture::new().await;
    let settings = WorkerSettings {
        lease_seconds: 2,
        ..SETTINGS
    };
    let (db, refused) = (test.db.clone(), Arc::new(AtomicBool::new(false)));
    let shut_out = Arc::clone(&refused);
    let stuck = Tasks::new().on::<Note, _, _>(move |_, run| {
        let (db, shut_out) = (db.clone(), Arc::clone(&shut_out));
        async move {
            // In a task of its own, as work that goes on although its worker is gone.
            tokio::spawn(async move {
                eventually(PATIENCE, || async {
                    let done: bool = sqlx::query_scalar("SELECT count(*) = 1 FROM effects")
                        .fetch_one(db.primary())
                        .await
                        .unwrap();
                    done.then_some(())
                })
                .await;
                let late = run
                    .finish(|tx| {
                        Box::pin(async move {
                            insert(tx, -1).await?;
                            Ok(String::new())
                        })
                    })
                    .await;
                shut_out.store(matches!(late, Err(TaskError::TakenOver)), Ordering::SeqCst);
            });
            std::future::pending().await
        }
    });
    let (relay, first) = (test.relay(), test.workers_with(test.db.clone(), stuck, settings));
    test.enqueue([note(1)]).await;
    test.until("SELECT count(*) = 1 FROM tasks WHERE state = 'running'")
        .await;
    first.kill().await;
    let second = test.workers_with(test.db.clone(), notes(), settings);
    test.done(1).await;
    eventually(PATIENCE, || async {
        refused.load(Ordering::SeqCst).then_some(())
    })
    .await;
    relay.stop().await;
    second.stop().await;
    assert_eq!(
        (
            test.effects().await,
            test.scalar::<i32>("SELECT attempts FROM tasks").await
        ),
        (1, 2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_task_that_kills_its_workers_is_dead_after_its_tries() {
    let test = Fixture::new().await;
    let settings = WorkerSettings {
        lease_seconds: 1,
        ..SETTINGS
    };
    let stuck = || Tasks::new().on::<Note, _, _>(|_, _| std::future::pending());
    let relay = test.relay();
    test.enqueue([note(1)]).await;
    for attempt in 1..=3 {
        let worker = test.workers_with(test.db.clone(), stuck(), settings);
        test.until(&format!(
            "SELECT count(*) = 1 FROM tasks WHERE state = 'running' AND attempts = {attempt}"
        ))
        .await;
        worker.kill().await;
    }
    let worker = test.workers_with(test.db.clone(), stuck(), settings);
    test.messages(DEAD_QUEUE, 1).await;
    relay.stop().await;
    worker.stop().await;
    let recorded = "SELECT format('%s %s %s', state, attempts, detail) FROM tasks";
    assert_eq!(
        test.scalar::<String>(recorded).await,
        "dead 3 the process that did it died"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_connections_that_the_broker_closes_lose_and_double_nothing() {
    let test = Fixture::new().await;
    let (relay, workers) = (test.relay(), test.workers(notes()));
    for round in 0..4 {
        test.enqueue((0..100).map(|number| note(round * 100 + number)))
            .await;
        test.broker.close_connections().await;
    }
    test.done(400).await;
    relay.stop().await;
    workers.stop().await;
    assert_eq!(test.effects().await, 400);
    assert_eq!(test.broker.messages(DEAD_QUEUE).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_while_the_database_is_away_tasks_wait_and_nothing_is_counted() {
    let test = Fixture::new().await;
    let relay = test.relay();
    test.enqueue((0..40).map(|number| Once { number })).await;
    test.published().await;
    relay.stop().await;
    let proxy = TestProxy::before(&test.database.url(), 5432).await;
    let mut settings = test.database.settings();
    settings.url = proxy.url(&test.database.url()).into();
    settings.acquire_timeout_seconds = 1;
    let db = postgres::Database::connect(&settings, "video_progress", clock::Clock::system()).unwrap();
    let (began, open) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, gate) = (Arc::clone(&began), Arc::clone(&open));
    let tasks = Tasks::new().on::<Once, _, _>(move |task, run| {
        let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            eventually(PATIENCE, || async { gate.load(Ordering::SeqCst).then_some(()) }).await;
            count_up(&run, task.number).await
        }
    });
    let workers = test.workers_with(db, tasks, SETTINGS);
    // All four are at it when it goes.
    eventually(PATIENCE, || async {
        (began.load(Ordering::SeqCst) == 4).then_some(())
    })
    .await;
    proxy.freeze();
    let taken = proxy.connections();
    open.store(true, Ordering::SeqCst);
    // Each has failed, and its failure cannot be written down.
    eventually(PATIENCE, || async {
        (proxy.connections() > taken + 8).then_some(())
    })
    .await;
    proxy.cut();
    proxy.thaw();
    test.done(40).await;
    workers.stop().await;
    assert_eq!(test.effects().await, 40);
    assert_eq!(test.broker.messages(DEAD_QUEUE).await, 0);
}
