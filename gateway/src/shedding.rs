//! What is refused first when there is more to do than can be done: browsing, then other writes, then progress; exams last.
//!
//! Signs of overload: how many requests wait for services, how long that has lately taken, how long students in exams wait, and how long a
//! task of this process waits for its turn. Somebody has to wait for long before anybody is refused; from then on
//! waits are kept short for a while (docs/adr/0034). Answers that are kept encoded are not refused: to give them costs no more than to say no.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use contracts::RateClass;
use dashmap::DashMap;
use parking_lot::Mutex;
use problem::{Problem, codes};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the waiting is measured.
const PERIOD: Duration = Duration::from_millis(10);
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A 32nd of the places is taken.
const CROWDED_FROM: usize = 32;
/// A call of this class that takes longer tells of a fault, and not of load.
const HANGS: Duration = Duration::from_secs(1);
/// What is known counts for so long: nobody else would tell that exams are over, or a slow service fast again.
const FRESH: Duration = Duration::from_secs(1);
/// The time that calls take is what they took in about so long: a disk that stalls once is no overload.
const MEMORY: Duration = Duration::from_millis(100);
/// A call tells of so long at most, however long there was none before it.
const TELLS_OF: Duration = Duration::from_millis(10);

/// Once a wait was too long, others are from so many hundredths of it on.
const STRICT_PERCENT: u32 = 30;
/// For so long; then it has to be too long once more, as a machine may be busy and yet cope.
const RUSH: Duration = Duration::from_secs(5);

/// How much of a class is let in.
struct Bounds {
    /// Percent of the places.
    places: usize,
    /// The longest time that a call, or the wait of a task, may take.
    wait: Duration,
}

/// Who sits an exam waits as long as anybody is let wait, and often has the next answer after half a second: well below the p95 of 100 ms
/// that is promised, others go first. A busy machine comes near the half of it without any harm.
const fn bounds(class: RateClass) -> Bounds {
    let (places, wait) = match class {
        RateClass::ApiRead => (50, Duration::from_millis(50)),
        RateClass::ApiWrite => (60, Duration::from_millis(75)),
        RateClass::Progress => (75, Duration::from_millis(100)),
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
    /// Of a task; microseconds, smoothed.
    wait: AtomicU64,
    /// Of calls of each service.
    calls: DashMap<&'static str, Taking>,
    /// Of students in exams, whatever the service.
    exams: Mutex<Taking>,
}

/// How long calls have lately taken.
#[derive(Default)]
struct Taking {
    average: Duration,
    /// When the last call ended.
    at: Option<Instant>,
    /// When they last took too long for somebody to be let in.
    too_long_at: Option<Instant>,
}

impl Taking {
    /// Each call weighs as much as the time since the one before, so that many that end at once are one.
    fn add(&mut self, took: Duration) {
        if !self.is_fresh() {
            (self.average, self.at) = (Duration::ZERO, None);
        }
        let now = Instant::now();
        let since = self.at.map_or(TELLS_OF, |at| (now - at).min(TELLS_OF));
        let weight = since.div_duration_f64(MEMORY);
        self.average = self.average.mul_f64(1.0 - weight) + took.mul_f64(weight);
        self.at = Some(now);
    }

    fn is_fresh(&self) -> bool {
        self.at.is_some_and(|at| at.elapsed() < FRESH)
    }

    /// Of what nobody has asked for lately nothing is known: a service that was slow once is tried again.
    fn lately(&self) -> Duration {
        if self.is_fresh() {
            self.average
        } else {
            Duration::ZERO
        }
    }

    /// Whether a class that may wait so long is to be refused.
    fn is_too_long(&mut self, bound: Duration) -> bool {
        let took = self.lately();
        if took > bound {
            self.too_long_at = Some(Instant::now());
        }
        let is_rush = self.too_long_at.is_some_and(|at| at.elapsed() < RUSH);
        took > bound || (is_rush && took > bound / 100 * STRICT_PERCENT)
    }
}

/// A request's place; free again when it is dropped.
pub struct Place {
    inner: Arc<Inner>,
    class: RateClass,
    service: &'static str,
    since: Instant,
}

impl Shedding {
    /// With room for `places` requests that wait for services.
    pub fn new(places: usize) -> Self {
        let inner = Inner {
            places,
            taken: AtomicUsize::new(0),
            wait: AtomicU64::new(0),
            calls: DashMap::new(),
            exams: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A place for a request of the class that is the service's to answer, or the refusal.
    pub fn enter(&self, class: RateClass, service: &'static str) -> Result<Place, Problem> {
        let (inner, bounds) = (&self.inner, bounds(class));
        let taken = inner.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            inner: Arc::clone(inner),
            class,
            service,
            since: Instant::now(),
        };
        // Where few are waiting, others keep the machine busy: to refuse would help nobody.
        let is_crowded = taken * CROWDED_FROM >= inner.places;
        let has_place = taken < (inner.places * bounds.places).div_ceil(100);
        if has_place && !(is_crowded && inner.is_slow(service, bounds.wait)) {
            return Ok(place);
        }
        // What was refused tells nothing of how long a call takes.
        place.give_back();
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

impl Inner {
    /// Whether something takes longer than a class may wait for this service.
    fn is_slow(&self, service: &str, bound: Duration) -> bool {
        let tasks = Duration::from_micros(self.wait.load(Ordering::Relaxed));
        let calls = self.calls.get_mut(service);
        tasks > bound
            || calls.is_some_and(|mut calls| calls.is_too_long(bound))
            // Whatever slows exams down, others add to it.
            || self.exams.lock().is_too_long(bound)
    }
}

impl Place {
    /// The request has arrived as a whole: how slowly its client sent it is not the service's doing.
    pub fn has_arrived(&mut self) {
        self.since = Instant::now();
    }

    fn give_back(mut self) {
        self.service = "";
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inner.taken.fetch_sub(1, Ordering::Relaxed);
        if !self.service.is_empty() {
            let took = self.since.elapsed();
            self.inner.calls.entry(self.service).or_default().add(took);
            // An exam service that hangs takes nobody along.
            if self.class == RateClass::Exam && took < HANGS {
                self.inner.exams.lock().add(took);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn let_in(shedding: &Shedding, class: RateClass) -> Option<Place> {
        shedding.enter(class, "catalog").ok()
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
        assert_eq!(admitted(60_000), [false, true, true, true]);
        assert_eq!(admitted(90_000), [false, false, true, true]);
        assert_eq!(admitted(10_000_000), [false, false, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn once_somebody_was_refused_waits_are_kept_short_for_a_while() {
        let shedding = Shedding::new(10);
        let _other = let_in(&shedding, RateClass::Exam);
        let exams = async |millis| {
            for _ in 0..100 {
                let place = shedding.enter(RateClass::Exam, "exam").ok();
                tokio::time::advance(Duration::from_millis(millis)).await;
                drop(place);
            }
        };
        let reads = || let_in(&shedding, RateClass::ApiRead).is_some();
        exams(25).await;
        assert!(reads(), "busy, and it copes");
        exams(60).await;
        assert!(!reads());
        exams(25).await;
        assert!(!reads(), "the rush is not over");
        exams(10).await;
        assert!(reads());
        tokio::time::advance(RUSH).await;
        exams(25).await;
        assert!(reads(), "a machine that copes is not held down by its past");
    }

    #[tokio::test(start_paused = true)]
    async fn others_wait_for_exams_while_there_are_some() {
        let shedding = Shedding::new(10);
        let _other = let_in(&shedding, RateClass::Exam);
        let calls = async |class, count, took| {
            for _ in 0..count {
                let place = shedding.enter(class, "exam").ok();
                tokio::time::advance(took).await;
                drop(place);
            }
        };
        let reads = || let_in(&shedding, RateClass::ApiRead).is_some();
        calls(RateClass::ApiWrite, 100, Duration::from_millis(60)).await;
        assert!(reads(), "a lecturer's export is no exam");
        calls(RateClass::Exam, 100, Duration::from_millis(60)).await;
        assert!(!reads());
        tokio::time::advance(FRESH).await;
        assert!(reads(), "no exam has waited since");
        calls(RateClass::Exam, 100, Duration::from_secs(9)).await;
        assert!(reads(), "a service that hangs takes nobody along");
        let mut place = shedding.enter(RateClass::Exam, "exam").ok().unwrap();
        tokio::time::advance(Duration::from_millis(900)).await;
        place.has_arrived();
        drop(place);
        assert!(reads(), "a client that sends slowly is no load");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_has_become_slow_is_asked_for_what_must_not_fail() {
        let shedding = Shedding::new(10);
        let _other = let_in(&shedding, RateClass::Login);
        for _ in 0..100 {
            let place = let_in(&shedding, RateClass::Login);
            tokio::time::advance(Duration::from_millis(60)).await;
            drop(place);
        }
        assert!(let_in(&shedding, RateClass::ApiWrite).is_some());
        assert!(let_in(&shedding, RateClass::ApiRead).is_none());
        assert!(
            shedding.enter(RateClass::ApiRead, "auth").is_ok(),
            "another is not"
        );
        let fast = async |count| {
            for _ in 0..count {
                let place = let_in(&shedding, RateClass::Login);
                tokio::time::advance(Duration::from_millis(1)).await;
                drop(place);
            }
        };
        fast(1).await;
        assert!(let_in(&shedding, RateClass::ApiRead).is_none());
        fast(200).await;
        assert!(let_in(&shedding, RateClass::ApiRead).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_long_ago_tells_nothing() {
        let shedding = Shedding::new(10);
        let _other = let_in(&shedding, RateClass::Login);
        let calls = async |count, took| {
            for _ in 0..count {
                let place = let_in(&shedding, RateClass::Login);
                tokio::time::advance(took).await;
                drop(place);
            }
        };
        calls(100, Duration::from_millis(90)).await;
        assert!(let_in(&shedding, RateClass::ApiRead).is_none());
        tokio::time::advance(FRESH).await;
        calls(1, Duration::from_millis(1)).await;
        assert!(let_in(&shedding, RateClass::ApiRead).is_some());
    }

    /// A batch that waited for the disk is told by each of its calls.
    #[tokio::test(start_paused = true)]
    async fn a_stall_is_no_overload() {
        let shedding = Shedding::new(10);
        let _other = let_in(&shedding, RateClass::Login);
        let batch: Vec<_> = (0..5)
            .map(|_| shedding.enter(RateClass::Exam, "exam").ok())
            .collect();
        tokio::time::advance(Duration::from_millis(300)).await;
        drop(batch);
        assert!(shedding.enter(RateClass::ApiRead, "exam").is_ok());
    }
}
