//! Connections that write transactions leave in order, for the next ones. The pool would ask twice whether such a connection lives,
//! and roll back what nobody left in it: three round trips beside those of a transaction that has five.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::runtime::Handle;

/// Then the pool has it again, which knows how old a connection may become.
const LONGEST: Duration = Duration::from_secs(30);

/// A connection that no transaction is open in.
#[derive(Debug)]
pub struct Ready {
    pub connection: PoolConnection<Postgres>,
    /// When it came from the pool.
    pub since: Instant,
}

impl Ready {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < LONGEST
    }

    /// Ends the connection, also where there is no runtime any more that could give it back to the pool.
    pub fn end(mut self) {
        if Handle::try_current().is_ok() {
            self.connection.close_on_drop();
        } else {
            // Its drop would be a task; the server sees the process end.
            std::mem::forget(self.connection);
        }
    }
}

#[derive(Default)]
struct State {
    ready: Vec<Ready>,
    /// Transactions that found none here and wait for the pool.
    waiting: usize,
}

pub struct Kept {
    pool: PgPool,
    max: usize,
    state: Mutex<State>,
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
            state: Mutex::default(),
        }
    }

    /// One that is ready, else the right to wait for the pool.
    pub fn take(&self) -> Result<Ready, Turn<'_>> {
        let mut state = self.state();
        while let Some(ready) = state.ready.pop() {
            if ready.is_fresh() {
                return Ok(ready);
            }
        }
        state.waiting += 1;
        Err(Turn(self))
    }

    /// Keeps a connection, unless it has been here for long or somebody waits for the pool to have one.
    pub fn put(&self, connection: Ready) {
        let mut state = self.state();
        let is_wanted = state.ready.len() < self.max && state.waiting == 0;
        if is_wanted && connection.is_fresh() && !self.pool.is_closed() {
            state.ready.push(connection);
        }
    }

    pub fn len(&self) -> usize {
        self.state().ready.len()
    }

    /// Gives all of them back to the pool.
    pub fn clear(&self) {
        self.state().ready.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, somebody waits for the pool.
pub struct Turn<'a>(&'a Kept);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if Handle::try_current().is_err() {
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            state.ready.drain(..).for_each(Ready::end);
        }
    }
}
