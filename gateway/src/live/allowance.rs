//! How much a client may say (S-MSG-05). It has little to say, and each message costs us an answer.

use tokio::time::Instant;

/// Messages at once, control frames included, and how many come back a second.
const BURST: f64 = 60.0;
const PER_SECOND: f64 = 2.0;

pub struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    pub fn new() -> Self {
        Self {
            left: BURST,
            at: Instant::now(),
        }
    }

    /// False when the client has said too much.
    pub fn take(&mut self) -> bool {
        let now = Instant::now();
        let back = now.duration_since(self.at).as_secs_f64() * PER_SECOND;
        self.left = (self.left + back).min(BURST) - 1.0;
        self.at = now;
        self.left >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_chatty_client_goes_on_and_a_flood_does_not() {
        let mut allowance = Allowance::new();
        for _ in 0..1_000 {
            assert!(allowance.take());
            tokio::time::advance(Duration::from_millis(500)).await;
        }
        let flood = (0..1_000).take_while(|_| allowance.take()).count();
        assert_eq!(flood, 60);
    }
}
