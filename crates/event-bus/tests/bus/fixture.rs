//! A database with an outbox and an inbox, a broker, and a relay and a consumer between them.

use std::time::Duration;

use contracts::Event;
use contracts::events::v1::UserRegistered;
use event_bus::{BusSettings, Consumer, EventBus, HandlerError, Relay, Subscription, outbox};
use postgres::{Database, WriteError, WriteTx};
use sqlx::Executor;
use test_support::{TestBroker, TestDatabase, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_mins(1);

pub struct Fixture {
    pub db: Database,
    pub database: TestDatabase,
    pub broker: TestBroker,
}

/// A relay or a consumer that runs.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(self) {
        self.task.abort();
    }
}

impl Fixture {
    pub async fn new() -> Self {
        let (database, broker) = tokio::join!(TestDatabase::new("notification"), TestBroker::new());
        let db = database.database();
        // One row for each effect, so that a doubled one shows.
        db.primary()
            .execute("CREATE TABLE effects (what text)")
            .await
            .unwrap();
        Self { db, database, broker }
    }

    pub async fn append<E: Event>(&self, events: impl IntoIterator<Item = E>) {
        let events: Vec<E> = events.into_iter().collect();
        let written: Result<(), WriteError> = self
            .db
            .write(|mut tx| async move {
                for event in &events {
                    outbox::append(&mut tx, event).await?;
                }
                tx.commit(()).await
            })
            .await;
        written.unwrap();
    }

    pub fn bus_at(url: &str) -> EventBus {
        let settings = BusSettings {
            url: url.into(),
            prefetch: 16,
        };
        EventBus::new(settings, "notification")
    }

    pub fn relay(&self) -> Running {
        self.relay_by(Self::bus_at(&self.broker.url()))
    }

    pub fn relay_by(&self, bus: EventBus) -> Running {
        let stop = CancellationToken::new();
        let task = tokio::spawn(Relay::new(self.db.clone(), bus).run(stop.clone()));
        Running { stop, task }
    }

    pub fn consumer(&self, subscription: Subscription) -> Running {
        self.consumer_of(self.db.clone(), subscription)
    }

    pub fn consumer_of(&self, db: Database, subscription: Subscription) -> Running {
        let stop = CancellationToken::new();
        let consumer = Consumer::new(db, Self::bus_at(&self.broker.url()), subscription);
        let task = tokio::spawn(consumer.run(stop.clone()));
        Running { stop, task }
    }

    pub async fn scalar(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.db.primary())
            .await
            .unwrap()
    }

    pub async fn effects(&self) -> i64 {
        self.scalar("SELECT count(*) FROM effects").await
    }

    /// Waits until nothing is left in the outbox.
    pub async fn all_published(&self) {
        eventually(PATIENCE, || async {
            let left = self
                .scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL")
                .await;
            (left == 0).then_some(())
        })
        .await;
    }

    /// Waits until a queue has nothing ready.
    pub async fn drained(&self, queue: &str) {
        eventually(PATIENCE, || async {
            (self.broker.messages(queue).await == 0).then_some(())
        })
        .await;
    }
}

/// The effect of an event.
pub async fn count_up(tx: &mut WriteTx) -> Result<(), HandlerError> {
    sqlx::query("INSERT INTO effects VALUES ('done')")
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub fn registered(number: i32) -> UserRegistered {
    UserRegistered {
        user_id: format!("user-{}", number % 10),
        version: number,
        ..UserRegistered::default()
    }
}
