//! From the transaction that wants a task to its effect, against a real database and a real broker.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "tasks/faults.rs"]
mod faults;
#[path = "tasks/fixture.rs"]
mod fixture;
#[path = "tasks/trying.rs"]
mod trying;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use fixture::{
    DEAD_QUEUE, DEFAULT_QUEUE, Fixture, Idle, Note, PATIENCE, TRACE, Urgent, count_up, note, notes,
};
use lapin::options::BasicPublishOptions;
use postgres::WriteError;
use request_context::RequestContext;
use task_queue::{Tasks, enqueue, enqueue_all, enqueue_once};
use test_support::eventually;
use typed_id::TaskId;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_comes_with_its_transaction_and_with_its_trace_and_never_without_either() {
    let test = Fixture::new().await;
    let undone = test.db.write(|mut tx| async move {
        enqueue(&mut tx, &note(1_000)).await?;
        tx.rollback(()).await
    });
    undone.await.map_err(|fault: WriteError| fault).unwrap();
    let context = RequestContext::for_event(Some("r-1"), Some(TRACE));
    let all: Vec<_> = (0..50).map(note).collect();
    let enqueued = request_context::scope(
        context,
        test.db.write::<_, WriteError, _, _>(|mut tx| async move {
            enqueue_all(&mut tx, &all).await?;
            tx.commit(()).await
        }),
    );
    enqueued.await.unwrap();
    let seen = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&seen);
    let tasks = Tasks::new().on::<Note, _, _>(move |task, run| {
        let count = Arc::clone(&count);
        async move {
            let traced = request_context::traceparent().is_some_and(|parent| parent[3..35] == TRACE[3..35]);
            let asked = request_context::current().request_id.as_deref() == Some("r-1");
            count.fetch_add(u32::from(traced && asked), Ordering::SeqCst);
            count_up(&run, task.number).await
        }
    });
    let (relay, workers) = (test.relay(), test.workers(tasks));
    test.done(50).await;
    relay.stop().await;
    workers.stop().await;
    assert_eq!((test.effects().await, seen.load(Ordering::SeqCst)), (50, 50));
    let recorded =
        "SELECT count(*) FROM tasks WHERE attempts = 1 AND instance = 'here' AND detail LIKE 'wrote %'
                    AND started_at IS NOT NULL AND finished_at IS NOT NULL AND request_id = 'r-1'";
    assert_eq!(test.scalar::<i64>(recorded).await, 50);
    assert_eq!(
        test.scalar::<i64>("SELECT count(*) FROM effects WHERE number = 1000")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_delivered_thrice_has_its_effect_once() {
    let test = Fixture::new().await;
    let relay = test.relay();
    test.enqueue((0..20).map(note)).await;
    test.published().await;
    relay.stop().await;
    let messages = test.broker.take_all(DEFAULT_QUEUE).await;
    assert_eq!(messages.len(), 20);
    let (connection, channel) = test.broker.connect().await;
    for message in messages.iter().chain(&messages).chain(&messages) {
        let publish = channel.basic_publish(
            "".into(),
            DEFAULT_QUEUE.into(),
            BasicPublishOptions::default(),
            &message.data,
            message.properties.clone(),
        );
        publish.await.unwrap().await.unwrap();
    }
    let (one, two) = (test.workers(notes()), test.workers(notes()));
    test.done(20).await;
    test.messages(DEFAULT_QUEUE, 0).await;
    one.stop().await;
    two.stop().await;
    assert_eq!(test.effects().await, 20);
    assert_eq!(test.broker.messages(DEAD_QUEUE).await, 0);
    drop(connection);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_done_once_is_enqueued_once_whoever_asks() {
    let test = Fixture::new().await;
    let id = TaskId(uuid::Uuid::from_u128(7));
    for is_new in [true, false] {
        let enqueued = test.db.write::<_, WriteError, _, _>(move |mut tx| async move {
            let enqueued = enqueue_once(&mut tx, id, &note(1)).await?;
            tx.commit(enqueued).await
        });
        assert_eq!(enqueued.await.unwrap(), is_new);
    }
    assert_eq!(test.scalar::<i64>("SELECT count(*) FROM outbox").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_never_stands_behind_what_is_not() {
    let test = Fixture::new().await;
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let tasks = Tasks::new()
        .on::<Idle, _, _>(move |task, run| {
            let gate = Arc::clone(&gate);
            async move {
                eventually(PATIENCE, || async { gate.load(Ordering::SeqCst).then_some(()) }).await;
                count_up(&run, task.number).await
            }
        })
        .on::<Urgent, _, _>(|task, run| async move { count_up(&run, task.number).await });
    let (relay, workers) = (test.relay(), test.workers(tasks));
    test.enqueue((0..10).map(|number| Idle { number })).await;
    test.until("SELECT count(*) = 2 FROM tasks WHERE state = 'running' AND lane = 'low'")
        .await;
    test.enqueue((0..10).map(|number| Urgent { number })).await;
    test.done(10).await;
    assert_eq!(
        test.scalar::<i64>("SELECT count(*) FROM tasks WHERE lane = 'low' AND state = 'succeeded'")
            .await,
        0
    );
    open.store(true, Ordering::SeqCst);
    test.done(20).await;
    relay.stop().await;
    workers.stop().await;
}
