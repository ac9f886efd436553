//! The connections of a pool, handed from one borrower to the next. The pool alone would ask twice whether a connection lives and roll
//! back what nobody left in it, each time: three round trips beside the one of a read, or the five of a transaction.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Then the pool has it again, which knows how old a connection may become.
const LONGEST: Duration = Duration::from_secs(30);
/// For a server to answer a question that costs it nothing.
pub const PATIENCE: Duration = Duration::from_secs(2);
const JUST_NOW: Duration = Duration::from_secs(1);

pub struct Connections {
    pool: PgPool,
    /// One less than the pool has connections, in the order of those who ask: who asks the pool itself finds one too.
    turns: Arc<Semaphore>,
    /// Handed back in order. With those in use no more than there are turns.
    kept: Mutex<Vec<Kept>>,
    keeps: bool,
}

struct Kept {
    connection: PoolConnection<Postgres>,
    /// When it came from the pool.
    since: Instant,
    used: Instant,
}

impl Kept {
    fn new(connection: PoolConnection<Postgres>) -> Self {
        let now = Instant::now();
        Self {
            connection,
            since: now,
            used: now,
        }
    }

    fn is_fresh(&self) -> bool {
        self.since.elapsed() < LONGEST
    }

    /// Back to the pool, which looks at what was left in it. One whose server does not answer is closed, so that its place is free.
    fn return_to_pool(mut self, turn: Option<OwnedSemaphorePermit>) {
        if let Ok(runtime) = Handle::try_current() {
            let back = self.connection.return_to_pool();
            runtime.spawn(async move {
                let _ = timeout(PATIENCE, back).await;
                drop(turn);
            });
        } else {
            // It would be a task; the server sees the process end.
            std::mem::forget(self.connection);
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("keeps", &self.keeps)
            .finish_non_exhaustive()
    }
}

impl Connections {
    pub fn of(pool: PgPool) -> Arc<Self> {
        let others = pool.options().get_max_connections().saturating_sub(1) as usize;
        Arc::new(Self {
            pool,
            turns: Arc::new(Semaphore::new(others.max(1))),
            kept: Mutex::default(),
            keeps: others > 0,
        })
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection, within the pool's time to wait.
    pub async fn take(self: &Arc<Self>) -> Result<Taken, sqlx::Error> {
        let take = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await;
            let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
            let kept = self.pop();
            let was_kept = kept.is_some();
            let kept = match kept {
                Some(kept) => kept,
                None => Kept::new(self.pool.acquire().await?),
            };
            Ok(Taken {
                kept: Some(kept),
                was_kept,
                home: Arc::clone(self),
                turn: Some(turn),
            })
        };
        timeout(self.pool.options().get_acquire_timeout(), take)
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    fn pop(&self) -> Option<Kept> {
        self.drop_stale();
        self.kept.lock().pop()
    }

    fn keep(&self, mut connection: Kept, turn: Option<OwnedSemaphorePermit>) {
        if self.keeps && connection.is_fresh() && !self.pool.is_closed() {
            connection.used = Instant::now();
            self.kept.lock().push(connection);
        } else {
            connection.return_to_pool(turn);
        }
    }

    fn drop_stale(&self) {
        let stale: Vec<Kept> = self.kept.lock().extract_if(.., |kept| !kept.is_fresh()).collect();
        stale.into_iter().for_each(|kept| kept.return_to_pool(None));
    }

    fn drop_all(&self) {
        let all = std::mem::take(&mut *self.kept.lock());
        all.into_iter().for_each(|kept| kept.return_to_pool(None));
    }

    /// Those that nobody uses.
    pub fn idle(&self) -> usize {
        self.drop_stale();
        self.pool.num_idle() + self.kept.lock().len()
    }

    /// Gives the connections back to the server.
    pub async fn close(&self) {
        // What is handed back from now on goes to the pool, as that is closed.
        let closing = self.pool.close();
        self.drop_all();
        closing.await;
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.drop_all();
    }
}

/// A connection in use. Dropped, it goes back to the pool, which looks at what was left in it.
pub struct Taken {
    kept: Option<Kept>,
    was_kept: bool,
    home: Arc<Connections>,
    turn: Option<OwnedSemaphorePermit>,
}

impl Taken {
    /// Whether the pool was not asked, so that it may have died since it was used last.
    pub fn was_kept(&self) -> bool {
        self.was_kept
    }

    /// Whether it was used so short a time ago that it hardly has died since.
    pub fn was_just_used(&self) -> bool {
        self.kept
            .as_ref()
            .is_some_and(|kept| kept.used.elapsed() < JUST_NOW)
    }

    /// Whether its server answers.
    pub async fn is_alive(&mut self) -> bool {
        matches!(timeout(PATIENCE, self.ping()).await, Ok(Ok(())))
    }

    /// Another one in its place, which the pool has asked: it is dead, and so may be all that are kept.
    pub async fn replace(&mut self) -> Result<(), sqlx::Error> {
        self.close();
        self.home.drop_all();
        self.kept = Some(Kept::new(self.home.pool.acquire().await?));
        self.was_kept = false;
        Ok(())
    }

    /// For the next one: it is in no transaction, and all its answers were read.
    pub fn give_back(mut self) {
        if let Some(kept) = self.kept.take() {
            let home = Arc::clone(&self.home);
            home.keep(kept, self.turn.take());
        }
    }

    /// Ends the connection at once, whatever its server does.
    pub fn end(mut self) {
        self.close();
    }

    fn close(&mut self) {
        if let Some(kept) = self.kept.take() {
            drop(kept.connection.detach());
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.return_to_pool(self.turn.take());
        }
    }
}

impl Deref for Taken {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match &self.kept {
            Some(kept) => &kept.connection,
            None => unreachable!("it is there until it is consumed"),
        }
    }
}

impl DerefMut for Taken {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match &mut self.kept {
            Some(kept) => &mut kept.connection,
            None => unreachable!("it is there until it is consumed"),
        }
    }
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken")
            .field("was_kept", &self.was_kept)
            .finish_non_exhaustive()
    }
}
