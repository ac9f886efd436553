//! Token buckets: a request takes one token of each bucket it concerns, or is refused and takes none.

mod bucket;
mod limiter;
mod local;
mod near;

pub use bucket::{Bucket, Decision, Limit};
pub use limiter::RateLimiter;
