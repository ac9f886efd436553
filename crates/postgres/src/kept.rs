//! Connections that write transactions leave in order, for the next ones. The pool would ask twice whether such a connection lives,
//! and roll back what nobody left in it: three round trips beside those of a transaction that has five.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

/// Then the pool has it again, which knows how old a connection may become.
const LONGEST: Duration = Duration::from_secs(30);

/// A connection that no transaction is open in.
#[derive(Debug)]
pub struct Ready {
    pub connection: PoolConnection<Postgres>,
    /// When it came from the pool.
    pub since: Instant,
}

pub struct Kept {
    pool: PgPool,
    max: usize,
    ready: Mutex<Vec<Ready>>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

impl Kept {
    /// Of a pool, at most a quarter of its connections: reads want some too.
    pub fn of(pool: &PgPool) -> Self {
        Self {
            pool: pool.clone(),
            max: pool.options().get_max_connections() as usize / 4,
            ready: Mutex::default(),
        }
    }

    pub fn take(&self) -> Option<Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub fn put(&self, connection: Ready) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.len() < self.max && connection.since.elapsed() < LONGEST && !self.pool.is_closed() {
            ready.push(connection);
        }
    }

    pub fn len(&self) -> usize {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Gives all of them back to the pool.
    pub fn clear(&self) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Giving back is a task, and there may be no runtime any more.
        if tokio::runtime::Handle::try_current().is_err() {
            let ready = self.ready.get_mut().unwrap_or_else(PoisonError::into_inner);
            ready.drain(..).for_each(|ready| drop(ready.connection.leak()));
        }
    }
}
