//! The connections of a pool, handed from one borrower to the next. The pool alone would ask twice whether a connection lives and roll
//! back what nobody left in it, each time: three round trips beside the one of a read, or the five of a transaction.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Then the pool has it again, which knows how old a connection may become.
const LONGEST: Duration = Duration::from_secs(30);

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
}

impl Kept {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < LONGEST
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
        let patience = self.pool.options().get_acquire_timeout();
        let turn = timeout(patience, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
        let kept = self.pop();
        let was_kept = kept.is_some();
        let kept = match kept {
            Some(kept) => kept,
            None => Kept {
                connection: self.pool.acquire().await?,
                since: Instant::now(),
            },
        };
        Ok(Taken {
            kept: Some(kept),
            was_kept,
            home: Arc::clone(self),
            _turn: turn,
        })
    }

    fn pop(&self) -> Option<Kept> {
        let mut all = self.kept.lock();
        std::iter::from_fn(|| all.pop()).find(Kept::is_fresh)
    }

    fn keep(&self, connection: Kept) {
        let mut all = self.kept.lock();
        all.retain(Kept::is_fresh);
        if self.keeps && connection.is_fresh() && !self.pool.is_closed() {
            all.push(connection);
        }
    }

    /// Those that nobody uses.
    pub fn idle(&self) -> usize {
        self.pool.num_idle() + self.kept.lock().len()
    }

    /// Gives the connections back to the server.
    pub async fn close(&self) {
        // What is handed back from now on goes to the pool, as that is closed.
        let closing = self.pool.close();
        self.kept.lock().clear();
        closing.await;
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for kept in self.kept.get_mut().drain(..) {
            end(kept, Handle::try_current().is_err());
        }
    }
}

/// A connection in use. Dropped, it goes back to the pool, which looks at what was left in it.
pub struct Taken {
    kept: Option<Kept>,
    was_kept: bool,
    home: Arc<Connections>,
    _turn: OwnedSemaphorePermit,
}

impl Taken {
    /// Whether the pool has not been asked, and it may have died since it was used last.
    pub fn was_kept(&self) -> bool {
        self.was_kept
    }

    /// For the next one: it is in no transaction, and all its answers were read.
    pub fn give_back(mut self) {
        if let Some(kept) = self.kept.take() {
            self.home.keep(kept);
        }
    }

    /// Ends the connection.
    pub fn end(mut self) {
        if let Some(mut kept) = self.kept.take() {
            kept.connection.close_on_drop();
            end(kept, Handle::try_current().is_err());
        }
    }
}

/// Drops a connection. Without a runtime that would panic, as it is a task; then the server sees the process end.
fn end(kept: Kept, is_without_runtime: bool) {
    if is_without_runtime {
        std::mem::forget(kept.connection);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            end(kept, Handle::try_current().is_err());
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
