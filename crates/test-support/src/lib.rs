//! Real servers for tests: each test has a database, a vhost and a key prefix of its own, which go when it ends.
//!
//! The servers are those of `DATABASE_URL`, `REDIS_URL` and `AMQP_URL`, or the ones that run in this checkout (`make test`).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

mod broker;
mod certificates;
mod cleanup;
mod database;
mod polling;
mod proxy;
mod queries;
mod redis;

pub use broker::{TestBroker, remove_vhost};
pub use certificates::{Certificate, TestAuthority};
pub use database::TestDatabase;
pub use polling::eventually;
pub use proxy::TestProxy;
pub use queries::{Queries, count_queries};
pub use redis::TestRedis;

use clock::Clock;
use dev_stack::servers::{self, Servers};
use time::OffsetDateTime;

/// A clock that stands at 2027-01-15 08:00 UTC until it is advanced.
pub fn fixed_clock() -> Clock {
    Clock::fixed(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap())
}

fn servers() -> Servers {
    servers::discover().unwrap()
}

/// Letters and digits that no other test has.
fn unique() -> String {
    format!("{:016x}", rand::random::<u64>())
}
