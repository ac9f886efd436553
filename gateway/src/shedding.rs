//! What is refused first when there is more to do than can be done: browsing, then other writes, then progress; exams last.
//!
//! Two signs of overload: how many requests wait for a service, and how long a task of this process waits for its turn. Answers that are
//! kept encoded are not refused: to give them costs no more than to say no.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use contracts::RateClass;
use problem::{Problem, codes};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the waiting is measured.
const PERIOD: Duration = Duration::from_millis(10);
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A tenth of the places is taken.
const CROWDED_FROM: usize = 10;

/// How much of a class is let in.
struct Bounds {
    /// Percent of the places.
    places: usize,
    /// The longest wait of a task.
    wait: Duration,
}

const fn bounds(class: RateClass) -> Bounds {
    let (places, wait) = match class {
        RateClass::ApiRead => (50, Duration::from_millis(500)),
        RateClass::ApiWrite => (60, Duration::from_secs(1)),
        RateClass::Progress => (75, Duration::from_millis(1_500)),
        // Who cannot sign in cannot sit an exam. Their own queues are short.
        RateClass::Login | RateClass::Register | RateClass::PasswordReset => (90, Duration::MAX),
        RateClass::Exam => (100, Duration::MAX),
    };
    Bounds { places, wait }
}

/// Who is let in.
#[derive(Clone)]
pub struct Shedding {
    inner: Arc<Inner>,
}

struct Inner {
    places: usize,
    taken: AtomicUsize,
    /// Microseconds, smoothed.
    wait: AtomicU64,
}

/// A request's place; free again when it is dropped.
pub struct Place(Arc<Inner>);

impl Shedding {
    /// With room for `places` requests that wait for services.
    pub fn new(places: usize) -> Self {
        let inner = Inner {
            places,
            taken: AtomicUsize::new(0),
            wait: AtomicU64::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A place for a request of the class, or the refusal.
    pub fn enter(&self, class: RateClass) -> Result<Place, Problem> {
        let (inner, bounds) = (&self.inner, bounds(class));
        let place = Place(Arc::clone(inner));
        let taken = inner.taken.fetch_add(1, Ordering::Relaxed);
        let wait = Duration::from_micros(inner.wait.load(Ordering::Relaxed));
        // Where few are waiting, others keep the machine busy: to refuse would help nobody.
        let is_crowded = taken * CROWDED_FROM >= inner.places;
        let has_place = taken < (inner.places * bounds.places).div_ceil(100);
        if has_place && !(is_crowded && wait > bounds.wait) {
            return Ok(place);
        }
        metrics::counter!("requests_shed_total", "class" => class.as_str()).increment(1);
        Err(Problem::new(&codes::OVERLOADED).with_retry_after(RETRY_AFTER))
    }

    /// Measures how late a task is when its time has come: that is how long each request waits at every step.
    pub async fn watch(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let due = Instant::now() + PERIOD;
            tokio::time::sleep_until(due).await;
            // Up rather fast, down rather slowly: a lull of one period is not the end of a rush.
            let late = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
            let before = self.inner.wait.load(Ordering::Relaxed);
            let share = if late > before { 2 } else { 8 };
            let now = before - before / share + late / share;
            self.inner.wait.store(now, Ordering::Relaxed);
            metrics::gauge!("task_wait_seconds").set(Duration::from_micros(now).as_secs_f64());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn let_in(shedding: &Shedding, class: RateClass) -> Option<Place> {
        shedding.enter(class).ok()
    }

    #[test]
    fn browsing_is_refused_first_and_exams_last() {
        let shedding = Shedding::new(10);
        let mut held = Vec::new();
        for (class, places) in [
            (RateClass::ApiRead, 5),
            (RateClass::ApiWrite, 6),
            (RateClass::Progress, 8),
            (RateClass::Login, 9),
            (RateClass::Exam, 10),
        ] {
            while let Some(place) = let_in(&shedding, class) {
                held.push(place);
            }
            assert_eq!(held.len(), places, "{}", class.as_str());
        }
        held.clear();
        assert!(let_in(&shedding, RateClass::ApiRead).is_some());
    }

    #[test]
    fn when_tasks_wait_long_only_what_must_not_fail_is_let_in() {
        let shedding = Shedding::new(10);
        shedding.inner.wait.store(10_000_000, Ordering::Relaxed);
        assert!(let_in(&shedding, RateClass::ApiRead).is_some(), "nobody waits");
        let _other = let_in(&shedding, RateClass::Exam);
        let admitted = |micros: u64| {
            shedding.inner.wait.store(micros, Ordering::Relaxed);
            let classes = [
                RateClass::ApiRead,
                RateClass::ApiWrite,
                RateClass::Progress,
                RateClass::Exam,
            ];
            classes.map(|class| let_in(&shedding, class).is_some())
        };
        assert_eq!(admitted(1_000), [true; 4]);
        assert_eq!(admitted(600_000), [false, true, true, true]);
        assert_eq!(admitted(1_100_000), [false, false, true, true]);
        assert_eq!(admitted(10_000_000), [false, false, false, true]);
    }
}
