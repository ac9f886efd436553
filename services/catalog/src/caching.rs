//! Public answers, cache-aside: the detail of a course, and pages of the list.

use std::time::Duration;

use cache::{Cache, CacheError, Key, LoadFault};
use contracts::catalog::v1::{CourseDetail, ListCoursesResponse};
use problem::{Problem, codes};
use typed_id::CourseId;

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

    /// A course has changed: nothing old of it is shown any more.
    pub async fn forget(&self, id: CourseId) {
        self.cache.invalidate(&[Key::CourseDetail(id)]).await;
        self.cache.next_generation(&Key::CourseListGeneration).await;
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
