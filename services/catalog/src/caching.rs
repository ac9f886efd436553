//! Public answers, cache-aside: the detail of a course, and pages of the list.

use std::time::Duration;

use cache::{Cache, CacheError, Key, LoadFault};
use contracts::catalog::v1::{CourseDetail, ListCoursesResponse};
use postgres::{Finished, WriteError, WriteTx};
use problem::{Problem, codes};
use typed_id::CourseId;

/// A load that began before a change has written what it read by then, with its whole time to live.
const LONGEST_LOAD: Duration = Duration::from_mins(1);

/// The caches of this service.
#[derive(Clone)]
pub struct Caching {
    cache: Cache,
    ttl: Duration,
}

impl Caching {
    pub fn new(cache: Cache, ttl: Duration) -> Self {
        Self { cache, ttl }
    }

    /// The detail of an open course; `None`, for one that is not, is not kept.
    pub async fn detail<F, Fut>(&self, id: CourseId, load: F) -> Result<CourseDetail, Problem>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<CourseDetail, Problem>>,
    {
        unwrap(
            self.cache
                .get_or_load(&Key::CourseDetail(id), self.ttl, load)
                .await,
        )
    }

    /// A page of the public list. `filters` tells one list from another.
    pub async fn list<F, Fut>(&self, filters: &str, load: F) -> Result<ListCoursesResponse, Problem>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<ListCoursesResponse, Problem>>,
    {
        let generation = self.cache.generation(&Key::CourseListGeneration).await;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, filters.as_bytes());
        let key = Key::CourseList {
            generation,
            filters: hex::encode(&digest.as_ref()[..16]),
        };
        unwrap(self.cache.get_or_load(&key, self.ttl, load).await)
    }

    /// Courses have changed: nothing old of them is shown any more. What Redis does not take is repeated in the background, until nothing
    /// old can be there: after a stall or a lost connection it still has all that it had.
    pub async fn forget(&self, ids: &[CourseId]) {
        if self.try_forget(ids).await {
            return;
        }
        let (caching, ids) = (self.clone(), ids.to_vec());
        tokio::spawn(async move { caching.repeat(&ids).await });
    }

    /// As [`Self::forget`], for commands: they end as soon as they are done, and with them what they leave to the background.
    pub async fn forget_and_wait(&self, ids: &[CourseId]) {
        if !self.try_forget(ids).await {
            self.repeat(ids).await;
        }
    }

    async fn repeat(&self, ids: &[CourseId]) {
        cache::repeat(self.ttl + LONGEST_LOAD, || self.try_forget(ids)).await;
    }

    /// Once; false when Redis did not take it all.
    pub async fn try_forget(&self, ids: &[CourseId]) -> bool {
        if ids.is_empty() {
            return true;
        }
        let details: Vec<Key> = ids.iter().copied().map(Key::CourseDetail).collect();
        let are_forgotten = self.cache.invalidate(&details).await;
        self.cache.next_generation(&Key::CourseListGeneration).await && are_forgotten
    }

    /// Commits a change of a course, and forgets it in the task of the transaction: a caller who hangs up does not prevent that, and one
    /// who waits sees what is new. Also when it is not known whether the commit took.
    pub async fn commit<T>(&self, tx: WriteTx, id: CourseId, value: T) -> Result<Finished<T>, WriteError> {
        let done = tx.commit(value).await;
        self.forget(&[id]).await;
        done
    }

    /// Forgets courses once a transaction's changes are durable, where somebody else commits it.
    pub fn forget_after_commit(&self, tx: &mut WriteTx, ids: Vec<CourseId>) {
        if ids.is_empty() {
            return;
        }
        let caching = self.clone();
        tx.after_commit(move || {
            tokio::spawn(async move { caching.forget(&ids).await });
        });
    }
}

/// Who waits for another's load shares its fault, which can only be told again by its code.
fn unwrap<T>(outcome: Result<T, CacheError<Problem>>) -> Result<T, Problem> {
    outcome.map_err(|fault| match fault {
        CacheError::Load(fault) => match &*fault {
            LoadFault::Load(problem) => Problem::new(problem.code()),
            LoadFault::Json(_) => Problem::new(&codes::INTERNAL),
        },
        CacheError::Shape(fault) => Problem::internal(fault),
    })
}
