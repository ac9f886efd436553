//! Outbox to inbox against a real database and a real broker.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "bus/fixture.rs"]
mod fixture;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use contracts::events::v1::{UserPasswordResetRequested, UserRegistered, UserUpdated, VideoMetadataFetched};
use event_bus::dead_letters::{DeadLetters, Which};
use event_bus::{EXCHANGE, HandlerError, Queue, Subscription, outbox};
use fixture::{Fixture, PATIENCE, count_up, registered};
use lapin::options::{BasicGetOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Confirmation};
use postgres::WriteError;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use test_support::{TestProxy, eventually};
use tokio_util::sync::CancellationToken;
use typed_id::EventId;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_published_and_what_is_rolled_back_is_not() {
    let test = Fixture::new().await;
    test.append((0..50).map(registered)).await;
    let undone = test.db.write(|mut tx| async move {
        outbox::append(&mut tx, &registered(1_000)).await?;
        tx.rollback(()).await
    });
    undone.await.map_err(|fault: WriteError| fault).unwrap();
    let relay = test.relay();
    test.all_published().await;
    relay.stop().await;
    let messages = test.broker.take_all("notification.users").await;
    let versions: Vec<i64> = messages
        .iter()
        .flat_map(|message| serde_json::from_slice::<Vec<Value>>(&message.data).unwrap())
        .map(|event| event["data"]["version"].as_i64().unwrap())
        .collect();
    assert_eq!(versions, (0..50).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_is_a_message_of_cloudevents_binary_mode() {
    let test = Fixture::new().await;
    test.append([registered(3)]).await;
    let relay = test.relay();
    test.all_published().await;
    relay.stop().await;
    let messages = test.broker.take_all("notification.users").await;
    let user: UserRegistered = serde_json::from_slice(&messages[0].data).unwrap();
    assert_eq!((messages.len(), user.version), (1, 3));
    let headers = messages[0].properties.headers().as_ref().unwrap().inner();
    for name in [
        "cloudEvents_id",
        "cloudEvents_type",
        "cloudEvents_source",
        "cloudEvents_subject",
    ] {
        assert!(headers.contains_key(name), "{name}");
    }
    assert_eq!(messages[0].properties.delivery_mode(), &Some(2));
}

/// Their attributes and payloads as CloudEvents' JSON batch format has them; another type, and a secret, go by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_type_that_wait_share_a_message() {
    let test = Fixture::new().await;
    test.append((0..30).map(registered)).await;
    test.append([UserUpdated {
        user_id: "user-1".into(),
        ..UserUpdated::default()
    }])
    .await;
    test.append((30..33).map(registered)).await;
    let secret = || UserPasswordResetRequested {
        token: "pr_secret".into(),
        ..UserPasswordResetRequested::default()
    };
    test.append([secret(), secret()]).await;
    let relay = test.relay();
    test.all_published().await;
    relay.stop().await;
    let messages = test.broker.take_all("notification.users").await;
    // `user-1` is registered once more after it was updated, and overtakes nothing.
    let counts: Vec<usize> = messages
        .iter()
        .map(|message| match serde_json::from_slice(&message.data).unwrap() {
            Value::Array(events) => events.len(),
            _ => 1,
        })
        .collect();
    assert_eq!(counts, [31, 1, 2]);
    let properties = &messages[0].properties;
    assert_eq!(
        properties.content_type().as_ref().unwrap().as_str(),
        "application/cloudevents-batch+json"
    );
    assert_eq!(properties.delivery_mode(), &Some(2));
    let events: Vec<Value> = serde_json::from_slice(&messages[0].data).unwrap();
    assert_eq!(
        properties.message_id().as_ref().unwrap().as_str(),
        events[0]["id"]
    );
    for event in &events {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["type"], "user.registered");
        assert_eq!(event["source"], "/sc/notification");
        assert_eq!(event["subject"], event["data"]["user_id"]);
        assert!(event["time"].is_string());
    }
    let secrets = test.broker.take_all("notification.accounts").await;
    assert_eq!(secrets.len(), 2);
}

/// As after a crash of the consumer amid its work: whatever ended it is then met alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_given_back_twice_is_taken_apart() {
    let test = Fixture::new().await;
    let relay = test.relay();
    test.append((0..30).map(registered)).await;
    test.all_published().await;
    relay.stop().await;
    for _ in 0..2 {
        let (connection, channel) = test.broker.connect().await;
        let taken = channel.basic_get("notification.users".into(), BasicGetOptions::default());
        drop(taken.await.unwrap().unwrap());
        connection.close(200, "gone".into()).await.unwrap();
    }
    let consumer = test.consumer(users());
    eventually(PATIENCE, || async { (test.effects().await == 30).then_some(()) }).await;
    consumer.stop().await;
    assert_eq!(test.effects().await, 30);
    assert_eq!(test.broker.messages("notification.users").await, 0);
}

/// One that nobody took apart, as when it is of no use to whoever consumes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_batch_is_dropped_and_tried_again_event_by_event() {
    let test = Fixture::new().await;
    let relay = test.relay();
    test.append((0..5).map(registered)).await;
    test.all_published().await;
    relay.stop().await;
    let batch = test.broker.take_all("notification.users").await.remove(0);
    let (connection, channel) = test.broker.connect().await;
    let publish = channel.basic_publish(
        "".into(),
        "notification.users.dead".into(),
        BasicPublishOptions::default(),
        &batch.data,
        batch.properties.clone(),
    );
    publish.await.unwrap().await.unwrap();
    drop(connection);
    let queue = Queue::all()
        .find(|queue| queue.name() == "notification.users")
        .unwrap();
    let letters = DeadLetters::open(&Fixture::bus_at(&test.broker.url()))
        .await
        .unwrap();
    let mut db = PgConnection::connect(&test.database.url()).await.unwrap();
    let found = letters.look(&mut db, &queue, Which::All, 10).await.unwrap();
    let ids: Vec<EventId> = found
        .iter()
        .map(|letter| letter.envelope.as_ref().unwrap().id)
        .collect();
    assert_eq!(ids.len(), 5);
    // What was looked at goes back a moment later.
    let back = async |count| {
        eventually(PATIENCE, || async {
            (test.broker.messages("notification.users.dead").await == count).then_some(())
        })
        .await;
    };
    back(5).await;
    assert_eq!(letters.remove(&queue, Which::One(ids[2])).await.unwrap(), 1);
    back(4).await;
    let replayed = letters.replay(&mut db, &queue, Which::One(ids[4])).await;
    assert_eq!(replayed.unwrap(), 1);
    back(3).await;
    assert_eq!(letters.replay(&mut db, &queue, Which::All).await.unwrap(), 3);
    letters.close().await;
    let again = test.broker.take_all("notification.users").await;
    assert_eq!(again.len(), 4);
}

/// Routable and unroutable events in one batch: lapin mixes up whose message came back.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_no_queue_takes_is_kept_and_published_when_one_does() {
    let test = Fixture::new().await;
    let relay = test.relay();
    test.append([registered(0)]).await;
    test.all_published().await;
    let (connection, channel) = test.broker.connect().await;
    // The only queue that it goes to.
    let unbind = channel.queue_unbind(
        "catalog.video-metadata".into(),
        EXCHANGE.into(),
        "video.metadata_fetched".into(),
        FieldTable::default(),
    );
    unbind.await.unwrap();
    test.db
        .write(|mut tx| async move {
            for number in 0..90 {
                outbox::append(&mut tx, &registered(number)).await?;
                if number % 3 == 0 {
                    let told = VideoMetadataFetched {
                        video_id: number.to_string(),
                        ..Default::default()
                    };
                    outbox::append(&mut tx, &told).await?;
                }
            }
            tx.commit(()).await
        })
        .await
        .map_err(|fault: WriteError| fault)
        .unwrap();
    test.all_published().await;
    relay.stop().await;
    let tried_again: i64 = test
        .scalar("SELECT count(*) FROM outbox WHERE type = 'video.metadata_fetched' AND attempts > 0")
        .await;
    assert_eq!(tried_again, 30);
    let mut taken: Vec<String> = test
        .broker
        .take_all("catalog.video-metadata")
        .await
        .iter()
        .map(|message| {
            serde_json::from_slice::<VideoMetadataFetched>(&message.data)
                .unwrap()
                .video_id
        })
        .collect();
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 30, "{taken:?}");
    drop(connection);
}

/// What opens an account is in the outbox until the broker has it, and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_not_kept_once_it_is_published() {
    let test = Fixture::new().await;
    let event = UserPasswordResetRequested {
        user_id: "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10".into(),
        token: "pr_secret".into(),
        ..UserPasswordResetRequested::default()
    };
    test.append([event]).await;
    test.append([registered(1)]).await;
    let relay = test.relay();
    test.all_published().await;
    relay.stop().await;
    let messages = test.broker.take_all("notification.accounts").await;
    assert_eq!(messages.len(), 1);
    let kept: i64 = test.scalar("SELECT count(*) FROM outbox").await;
    let secrets: i64 = test
        .scalar("SELECT count(*) FROM outbox WHERE position('pr_secret'::bytea IN payload) > 0")
        .await;
    assert_eq!((kept, secrets), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_nobody_wants_does_not_stay_in_the_outbox() {
    let test = Fixture::new().await;
    let relay = test.relay();
    let event = contracts::events::v1::VideoChanged::default();
    test.append([event]).await;
    test.all_published().await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_delivered_twice_has_its_effect_once() {
    let test = Fixture::new().await;
    let relay = test.relay();
    test.append((0..20).map(registered)).await;
    test.all_published().await;
    relay.stop().await;
    // Every message three times.
    let messages = test.broker.take_all("notification.users").await;
    let (connection, channel) = test.broker.connect().await;
    for message in messages.iter().chain(&messages).chain(&messages) {
        let publish = channel.basic_publish(
            "".into(),
            "notification.users".into(),
            BasicPublishOptions::default(),
            &message.data,
            message.properties.clone(),
        );
        publish.await.unwrap().await.unwrap();
    }
    let consumer = test.consumer(users());
    eventually(PATIENCE, || async { (test.effects().await == 20).then_some(()) }).await;
    test.drained("notification.users").await;
    consumer.stop().await;
    assert_eq!(test.effects().await, 20);
    drop(connection);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_event_is_tried_so_often_and_then_dead_while_others_flow() {
    const ATTEMPTS: i32 = 3;
    let test = Fixture::new().await;
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let subscription = Subscription::new("notification", "users")
        .on::<UserRegistered, _>(move |tx, delivery| {
            let counted = Arc::clone(&counted);
            Box::pin(async move {
                if delivery.event.version == 7 {
                    counted.fetch_add(1, Ordering::SeqCst);
                    return Err(HandlerError::Transient("not today".into()));
                }
                count_up(tx).await
            })
        })
        .attempts(ATTEMPTS);
    let (relay, consumer) = (test.relay(), test.consumer(subscription));
    test.append((0..20).map(registered)).await;
    eventually(PATIENCE, || async {
        let dead = test.broker.messages("notification.users.dead").await;
        (dead == 1 && test.effects().await == 19).then_some(())
    })
    .await;
    relay.stop().await;
    consumer.stop().await;
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    let dead: i64 = test
        .scalar("SELECT count(*) FROM inbox_failures WHERE dead AND attempts = 3")
        .await;
    assert_eq!(dead, 1);
    assert_eq!(test.effects().await, 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_wait_are_handled_together_and_one_that_fails_takes_no_other_along() {
    const EVENTS: i32 = 200;
    let test = Fixture::new().await;
    let subscription = Subscription::new("notification", "users").on::<UserRegistered, _>(|tx, delivery| {
        Box::pin(async move {
            sqlx::query("INSERT INTO effects VALUES (pg_current_xact_id()::text)")
                .execute(&mut **tx)
                .await?;
            match delivery.event.version {
                77 => Err(HandlerError::Poison("of the test".into())),
                _ => Ok(()),
            }
        })
    });
    let relay = test.relay();
    // Four messages.
    for first in (0..EVENTS).step_by(50) {
        test.append((first..first + 50).map(registered)).await;
        test.all_published().await;
    }
    let consumer = test.consumer(subscription);
    eventually(PATIENCE, || async {
        let dead = test.broker.messages("notification.users.dead").await;
        (dead == 1 && test.effects().await == i64::from(EVENTS) - 1).then_some(())
    })
    .await;
    test.drained("notification.users").await;
    relay.stop().await;
    consumer.stop().await;
    assert_eq!(test.effects().await, i64::from(EVENTS) - 1);
    let transactions = test.scalar("SELECT count(DISTINCT what) FROM effects").await;
    assert!(transactions < i64::from(EVENTS) * 3 / 4, "{transactions}");
    let tried = test.scalar("SELECT count(*) FROM inbox").await;
    assert_eq!(tried, i64::from(EVENTS) - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_or_stored_is_dead_at_once() {
    let test = Fixture::new().await;
    let subscription = users().on::<UserUpdated, _>(|tx, delivery| {
        Box::pin(async move {
            sqlx::query("INSERT INTO effects VALUES ($1)")
                .bind(delivery.event.full_name)
                .execute(&mut **tx)
                .await?;
            Ok(())
        })
    });
    let (relay, consumer) = (test.relay(), test.consumer(subscription));
    // A text that PostgreSQL cannot hold.
    let nul = UserUpdated {
        full_name: "a\0b".into(),
        ..Default::default()
    };
    test.append([nul]).await;
    test.all_published().await;
    let (connection, channel) = test.broker.connect().await;
    let foreign = channel.basic_publish(
        "".into(),
        "notification.users".into(),
        BasicPublishOptions::default(),
        b"not an event",
        BasicProperties::default(),
    );
    let confirm = foreign.await.unwrap().await.unwrap();
    assert!(!matches!(confirm, Confirmation::Nack(_)));
    eventually(PATIENCE, || async {
        (test.broker.messages("notification.users.dead").await == 2).then_some(())
    })
    .await;
    let tried: i64 = test
        .scalar("SELECT coalesce(sum(attempts), 0) FROM inbox_failures")
        .await;
    assert_eq!(tried, 1);
    relay.stop().await;
    consumer.stop().await;
    drop(connection);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_is_heard_by_every_process() {
    let test = Fixture::new().await;
    let heard = Arc::new(AtomicU32::new(0));
    let stop = CancellationToken::new();
    let mut listeners = Vec::new();
    for _ in 0..2 {
        let (bus, heard, stop) = (test.broker.bus("catalog"), Arc::clone(&heard), stop.clone());
        listeners.push(tokio::spawn(async move {
            bus.listen::<UserRegistered>(stop, |_| {
                heard.fetch_add(1, Ordering::SeqCst);
            })
            .await;
        }));
    }
    let relay = test.relay();
    // What happens before they listen is missed: so it is told until both have heard something.
    eventually(PATIENCE, || async {
        test.append([registered(1)]).await;
        (heard.load(Ordering::SeqCst) >= 2).then_some(())
    })
    .await;
    stop.cancel();
    for listener in listeners {
        listener.await.unwrap();
    }
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_connections_that_the_broker_closes_lose_and_double_nothing() {
    let test = Fixture::new().await;
    let (relay, consumer) = (test.relay(), test.consumer(users()));
    for round in 0..4 {
        test.append((0..100).map(|number| registered(round * 100 + number)))
            .await;
        test.broker.close_connections().await;
    }
    eventually(PATIENCE, || async { (test.effects().await == 400).then_some(()) }).await;
    test.all_published().await;
    test.drained("notification.users").await;
    relay.stop().await;
    consumer.stop().await;
    assert_eq!(test.effects().await, 400);
    assert_eq!(test.broker.messages("notification.users.dead").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_broker_that_hangs_holds_up_no_write_and_loses_nothing() {
    let test = Fixture::new().await;
    let proxy = TestProxy::before(&test.broker.url(), 5672).await;
    let bus = Fixture::bus_at(&proxy.url(&test.broker.url()));
    let relay = test.relay_by(bus);
    test.append([registered(0)]).await;
    test.all_published().await;
    proxy.freeze();
    test.append((1..50).map(registered)).await;
    // The relay gives up on the connection and says why.
    eventually(PATIENCE, || async {
        let failed: i64 = test
            .scalar("SELECT count(*) FROM outbox WHERE attempts > 0")
            .await;
        (failed > 0).then_some(())
    })
    .await;
    proxy.thaw();
    proxy.cut();
    test.all_published().await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_consumers_killed_amid_their_work_have_each_effect_once() {
    let test = Fixture::new().await;
    let relay = test.relay();
    for round in 0..10 {
        let consumer = test.consumer(users());
        // Several messages, some with several events; what is done is rarely acknowledged when it ends.
        for part in 0..3 {
            let first = round * 30 + part * 10;
            test.append((first..first + 10).map(registered)).await;
        }
        eventually(PATIENCE, || async {
            (test.effects().await > i64::from(round) * 25).then_some(())
        })
        .await;
        consumer.kill();
    }
    test.all_published().await;
    relay.stop().await;
    let consumer = test.consumer(users());
    eventually(PATIENCE, || async { (test.effects().await >= 300).then_some(()) }).await;
    test.drained("notification.users").await;
    consumer.stop().await;
    assert_eq!(test.effects().await, 300);
    assert_eq!(test.broker.messages("notification.users.dead").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_while_the_database_is_away_messages_wait_and_nothing_is_counted() {
    let test = Fixture::new().await;
    let relay = test.relay();
    test.append((0..40).map(registered)).await;
    test.all_published().await;
    relay.stop().await;
    let proxy = TestProxy::before(&test.database.url(), 5432).await;
    let mut settings = test.database.settings();
    settings.url = proxy.url(&test.database.url()).into();
    settings.acquire_timeout_seconds = 1;
    let db = postgres::Database::connect(&settings, "notification", clock::Clock::system()).unwrap();
    proxy.freeze();
    let taken = proxy.connections();
    let consumer = test.consumer_of(db, users());
    // The pool opens ten at a time: with more, the handlers have failed and tried again.
    eventually(PATIENCE, || async {
        (proxy.connections() > taken + 12).then_some(())
    })
    .await;
    proxy.cut();
    proxy.thaw();
    eventually(PATIENCE, || async { (test.effects().await == 40).then_some(()) }).await;
    consumer.stop().await;
    let counted: i64 = test.scalar("SELECT count(*) FROM inbox_failures").await;
    assert_eq!(counted, 0);
    assert_eq!(test.broker.messages("notification.users.dead").await, 0);
}

fn users() -> Subscription {
    Subscription::new("notification", "users")
        .on::<UserRegistered, _>(|tx, _| Box::pin(count_up(tx)))
        .on::<UserUpdated, _>(|tx, _| Box::pin(count_up(tx)))
}
