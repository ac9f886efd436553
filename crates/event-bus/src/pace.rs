//! How long to rest between two batches. On a quiet machine a batch takes a few milliseconds and nobody waits for long; the busier it
//! is, the longer the rest, and the more events share a transaction (docs/adr/0027).

use std::time::Duration;

const TIMES: u32 = 8;
const LONGEST: Duration = Duration::from_millis(200);

/// After a batch that took so long, and was not full.
pub fn rest(took: Duration) -> Duration {
    (took * TIMES).min(LONGEST)
}
