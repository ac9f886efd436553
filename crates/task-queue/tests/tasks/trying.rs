//! Tries: how many, when, how long, how fast.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::types::AMQPValue;
use request_context::RequestContext;
use task_queue::{TaskError, Tasks, WorkerSettings};
use test_support::eventually;
use typed_id::TaskId;

use crate::fixture::{
    Bounded, DEAD_QUEUE, DEFAULT_QUEUE, Fixture, Note, Once, PATIENCE, Rare, Rated, SETTINGS, TRACE,
    count_up, note, notes,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_task_is_tried_so_often_and_then_dead_while_others_flow() {
    let test = Fixture::new().await;
    let tries = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&tries);
    let tasks = Tasks::new().on::<Note, _, _>(move |task, run| {
        let count = Arc::clone(&count);
        async move {
            if task.number != 7 {
                return count_up(&run, task.number).await;
            }
            count.fetch_add(1, Ordering::SeqCst);
            Err(TaskError::transient(format!("not on try {}", run.attempt())))
        }
    });
    let (relay, workers) = (test.relay(), test.workers(tasks));
    let context = RequestContext::for_event(None, Some(TRACE));
    request_context::scope(context, test.enqueue((0..100).map(note))).await;
    test.done(99).await;
    test.messages(DEAD_QUEUE, 1).await;
    relay.stop().await;
    workers.stop().await;
    assert_eq!((tries.load(Ordering::SeqCst), test.effects().await), (3, 99));
    let dead = test.broker.take_all(DEAD_QUEUE).await;
    let headers = dead[0].properties.headers().clone().unwrap();
    let header = |name: &str| match headers.inner().get(name) {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(header("x-reason"), "not on try 3");
    assert_eq!(header("traceparent")[3..35], TRACE[3..35]);
    let recorded = "SELECT format('%s %s %s', state, attempts, detail) FROM tasks WHERE state <> 'succeeded'";
    assert_eq!(test.scalar::<String>(recorded).await, "dead 3 not on try 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_cannot_be_read_or_be_done_is_dead_at_once() {
    let test = Fixture::new().await;
    let tasks = Tasks::new().on::<Note, _, _>(|_, _| async { Err(TaskError::poison("never")) });
    let relay = test.relay();
    test.enqueue([note(1)]).await;
    test.published().await;
    let (connection, channel) = test.broker.connect().await;
    // One that nobody enqueued, and one that is nothing of ours.
    let stranger = test.broker.take_all(DEFAULT_QUEUE).await.remove(0);
    let unknown = TaskId(uuid::Uuid::from_u128(1)).to_string();
    let mut headers = stranger.properties.headers().clone().unwrap();
    headers.insert(
        "cloudEvents_id".into(),
        AMQPValue::LongString(unknown.as_str().into()),
    );
    for properties in [
        stranger.properties.clone(),
        stranger.properties.clone().with_headers(headers),
        lapin::BasicProperties::default(),
    ] {
        let publish = channel.basic_publish(
            "".into(),
            DEFAULT_QUEUE.into(),
            BasicPublishOptions::default(),
            &stranger.data,
            properties,
        );
        publish.await.unwrap().await.unwrap();
    }
    let workers = test.workers(tasks);
    test.messages(DEAD_QUEUE, 3).await;
    relay.stop().await;
    workers.stop().await;
    let recorded = "SELECT format('%s %s %s', state, attempts, detail) FROM tasks";
    assert_eq!(test.scalar::<String>(recorded).await, "dead 1 never");
    drop(connection);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_fails_is_followed_by_another_no_sooner_than_its_policy_says() {
    let test = Fixture::new().await;
    let db = test.db.clone();
    let tasks = Tasks::new().on::<Note, _, _>(move |task, run| {
        let db = db.clone();
        async move {
            if run.attempt() == 3 {
                return count_up(&run, task.number).await;
            }
            sqlx::query("INSERT INTO effects VALUES (-1)")
                .execute(db.primary())
                .await?;
            Err(TaskError::transient("not yet"))
        }
    });
    let (relay, workers) = (test.relay(), test.workers(tasks));
    test.enqueue([note(1)]).await;
    test.done(1).await;
    relay.stop().await;
    workers.stop().await;
    let pauses =
        "SELECT count(*) FROM (SELECT at - lag(at) OVER (ORDER BY at) AS pause FROM effects) AS tries
                  WHERE pause < interval '20 ms'";
    assert_eq!((test.effects().await, test.scalar::<i64>(pauses).await), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_says_not_now_comes_again_and_loses_no_try() {
    let test = Fixture::new().await;
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let tasks = Tasks::new().on::<Once, _, _>(move |task, run| {
        let count = Arc::clone(&count);
        async move {
            if count.fetch_add(1, Ordering::SeqCst) < 5 {
                return Err(TaskError::NotNow {
                    after: Duration::from_millis(10),
                    why: "closed".to_owned(),
                });
            }
            count_up(&run, task.number).await
        }
    });
    let (relay, workers) = (test.relay(), test.workers(tasks));
    test.enqueue([Once { number: 1 }]).await;
    test.done(1).await;
    relay.stop().await;
    workers.stop().await;
    assert_eq!(test.scalar::<i32>("SELECT attempts FROM tasks").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_over_its_limits_is_told_then_aborted_and_tried_again() {
    let test = Fixture::new().await;
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    let tasks = Tasks::new().on::<Bounded, _, _>(move |_, run| {
        let count = Arc::clone(&count);
        async move {
            run.stop().cancelled().await;
            count.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }
    });
    let (relay, workers) = (test.relay(), test.workers(tasks));
    test.enqueue([Bounded { number: 1 }]).await;
    test.messages(DEAD_QUEUE, 1).await;
    relay.stop().await;
    workers.stop().await;
    assert_eq!(told.load(Ordering::SeqCst), 3);
    let recorded = "SELECT format('%s %s %s', state, attempts, detail) FROM tasks";
    assert_eq!(
        test.scalar::<String>(recorded).await,
        "dead 3 aborted after 400ms"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_with_a_rate_begins_no_sooner_in_all_processes_together() {
    let test = Fixture::new().await;
    let tasks =
        || Tasks::new().on::<Rated, _, _>(|task, run| async move { count_up(&run, task.number).await });
    let (relay, one, two) = (test.relay(), test.workers(tasks()), test.workers(tasks()));
    test.enqueue((0..15).map(|number| Rated { number })).await;
    test.done(15).await;
    for running in [relay, one, two] {
        running.stop().await;
    }
    let early = "SELECT count(*) FROM (
        SELECT started_at, row_number() OVER (ORDER BY started_at) AS place, min(enqueued_at) OVER () AS first FROM tasks) AS rated
        WHERE started_at < first + (place - 1) * interval '200 ms'";
    assert_eq!((test.scalar::<i64>(early).await, test.effects().await), (0, 15));
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_wait_for_their_rate_are_in_nobodys_way() {
    let test = Fixture::new().await;
    let tasks = notes().on::<Rare, _, _>(|task, run| async move { count_up(&run, task.number).await });
    let (relay, workers) = (test.relay(), test.workers(tasks));
    // One an hour: more of them than there are workers wait.
    test.enqueue((0..10).map(|number| Rare { number })).await;
    test.enqueue((0..50).map(note)).await;
    test.done(51).await;
    test.until("SELECT count(*) = 9 FROM tasks WHERE state = 'waiting' AND attempts = 0")
        .await;
    relay.stop().await;
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_task_does_not_hold_its_message_and_is_done_once() {
    let test = Fixture::new().await;
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let tasks = Tasks::new().on::<Note, _, _>(move |task, run| {
        let gate = Arc::clone(&gate);
        async move {
            eventually(PATIENCE, || async { gate.load(Ordering::SeqCst).then_some(()) }).await;
            count_up(&run, task.number).await
        }
    });
    let settings = WorkerSettings {
        lease_seconds: 2,
        ..SETTINGS
    };
    let (relay, workers) = (test.relay(), test.workers_with(test.db.clone(), tasks, settings));
    test.enqueue([note(1)]).await;
    // Its copy waits, comes back to find the task under way, and waits again.
    test.messages("sc.wait.2", 1).await;
    test.messages("sc.wait.2", 0).await;
    open.store(true, Ordering::SeqCst);
    test.done(1).await;
    for queue in ["sc.wait.1", "sc.wait.2", DEFAULT_QUEUE] {
        test.messages(queue, 0).await;
    }
    relay.stop().await;
    workers.stop().await;
    assert_eq!(
        (
            test.effects().await,
            test.scalar::<i32>("SELECT attempts FROM tasks").await
        ),
        (1, 1)
    );
}
