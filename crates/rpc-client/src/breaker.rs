//! A circuit breaker: after some failures in a row nothing is sent for a while, then one call tries.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub threshold: u32,
    /// The first pause; each failed trial doubles it.
    pub first_pause: Duration,
    pub max_pause: Duration,
}

impl Default for BreakerSettings {
    /// A-RES-01: 5 failures, 60 s. The pause begins short, so that a process that was restarted is used again at once.
    fn default() -> Self {
        Self {
            threshold: 5,
            first_pause: Duration::from_millis(500),
            max_pause: Duration::from_mins(1),
        }
    }
}

#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Set while open: until when, and how long this pause is.
    open: Option<(Instant, Duration)>,
    trying: bool,
}

impl Breaker {
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: Mutex::default(),
        }
    }

    /// Whether a call may be made now. When the pause is over, one caller gets the trial.
    pub fn allows(&self) -> bool {
        let mut state = self.state.lock();
        match state.open {
            None => true,
            Some((until, _)) if Instant::now() < until || state.trying => false,
            Some(_) => {
                state.trying = true;
                true
            }
        }
    }

    pub fn is_open(&self) -> bool {
        self.state.lock().open.is_some()
    }

    pub fn succeeded(&self) {
        *self.state.lock() = State::default();
    }

    pub fn failed(&self) {
        let mut state = self.state.lock();
        state.failures += 1;
        let pause = match state.open {
            Some((_, pause)) if state.trying => (pause * 2).min(self.settings.max_pause),
            None if state.failures >= self.settings.threshold => self.settings.first_pause,
            _ => return,
        };
        state.open = Some((Instant::now() + pause, pause));
        state.trying = false;
    }

    /// The call that had the trial ended without telling anything, as when its caller went away.
    pub fn abandoned(&self) {
        self.state.lock().trying = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_the_threshold_and_tries_once_with_growing_pauses() {
        let settings = BreakerSettings {
            threshold: 3,
            first_pause: Duration::from_secs(1),
            max_pause: Duration::from_secs(3),
        };
        let breaker = Breaker::new(settings);
        for _ in 0..3 {
            assert!(breaker.allows());
            breaker.failed();
        }
        for pause in [1, 2, 3, 3] {
            assert!(!breaker.allows());
            tokio::time::advance(Duration::from_secs(pause)).await;
            assert!(breaker.allows(), "after {pause} s");
            assert!(!breaker.allows(), "one trial at a time");
            breaker.failed();
        }
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(breaker.allows());
        breaker.succeeded();
        assert!(breaker.allows() && !breaker.is_open());
    }

    #[test]
    fn a_success_in_between_starts_the_count_anew() {
        let breaker = Breaker::new(BreakerSettings::default());
        for _ in 0..20 {
            breaker.failed();
            breaker.failed();
            breaker.succeeded();
        }
        assert!(breaker.allows());
    }
}
