//! What Redis did not take, until it does.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Tries to have Redis forget something until it has, for `longest`: after that nothing old can be there. After a stall or a lost
/// connection it still has all that it had.
pub async fn repeat<F, Fut>(longest: Duration, mut attempt: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let trying = async {
        loop {
            sleep(PAUSE).await;
            if attempt().await {
                return;
            }
        }
    };
    let _ = timeout(longest, trying).await;
}
