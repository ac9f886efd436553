use std::panic::Location;
use std::time::Duration;

use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer; panics with the caller's place when there is none in time.
#[track_caller]
pub fn eventually<T, F, Fut>(limit: Duration, mut ask: F) -> impl Future<Output = T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let asker = Location::caller();
    async move {
        let started = Instant::now();
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            assert!(started.elapsed() < limit, "not within {limit:?}: {asker}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
