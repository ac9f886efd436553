//! Which copy may answer: one that is not behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::autocommit::Autocommit;
use crate::connections::Connections;

/// A read waits so long for a copy before it goes to the primary.
const PATIENCE: Duration = Duration::from_millis(50);
/// And asks it again after this.
const ASK_AGAIN: Duration = Duration::from_millis(3);
/// A copy that is late or away is left alone for so long, so that not every read waits for it.
const REST: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Replica {
    connections: Arc<Connections>,
    reads: Autocommit,
    rests_until: Mutex<Option<Instant>>,
}

#[derive(Debug)]
pub struct Replicas {
    all: Vec<Replica>,
    next: AtomicUsize,
}

impl Replicas {
    pub fn new(replicas: Vec<Arc<Connections>>) -> Self {
        let all = replicas.into_iter().map(|connections| Replica {
            reads: Autocommit::on(Arc::clone(&connections)),
            connections,
            rests_until: Mutex::default(),
        });
        Self {
            all: all.collect(),
            next: AtomicUsize::default(),
        }
    }

    pub fn connections(&self) -> impl Iterator<Item = &Arc<Connections>> {
        self.all.iter().map(|replica| &replica.connections)
    }

    /// The next copy that has all that the primary has now; the primary when it has not within 50 ms.
    pub async fn reader<'a>(&'a self, primary: &'a Autocommit) -> &'a Autocommit {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(replica) = self.all.get(turn % self.all.len().max(1)) else {
            return primary;
        };
        let now = Instant::now();
        if replica.rests_until.lock().is_some_and(|until| now < until) {
            return primary;
        }
        let why = match timeout(PATIENCE, caught_up(primary, &replica.reads)).await {
            Ok(Ok(())) => return &replica.reads,
            Ok(Err(_)) => "away",
            Err(_) => "late",
        };
        *replica.rests_until.lock() = Some(now + REST);
        metrics::counter!("db_replica_passed_over_total", "why" => why).increment(1);
        primary
    }
}

/// Waits until the copy has what the primary has written by now.
async fn caught_up(primary: &Autocommit, replica: &Autocommit) -> Result<(), sqlx::Error> {
    let written: String = sqlx::query_scalar("SELECT pg_current_wal_flush_lsn()::text")
        .fetch_one(primary)
        .await?;
    loop {
        let is_there: bool =
            sqlx::query_scalar("SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false)")
                .bind(&written)
                .fetch_one(replica)
                .await?;
        if is_there {
            return Ok(());
        }
        sleep(ASK_AGAIN).await;
    }
}
