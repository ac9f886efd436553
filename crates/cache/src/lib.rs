//! Redis that may be away at any time, and cache-aside over it.

mod aside;
mod keys;
mod listening;
mod redis;
mod repeat;

pub use aside::{Cache, CacheError, LoadFault};
pub use fred;
pub use keys::Key;
pub use listening::{Heard, Listening};
pub use redis::{Redis, RedisError, RedisSettings};
pub use repeat::repeat;
