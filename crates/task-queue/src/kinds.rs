use std::collections::HashMap;
use std::sync::Arc;

use event_bus::Lane;
use futures::future::BoxFuture;

use crate::error::TaskError;
use crate::run::{Done, TaskRun};
use crate::task::{Policy, Task};

type Work = Arc<dyn Fn(&[u8], TaskRun) -> BoxFuture<'static, Result<Done, TaskError>> + Send + Sync>;

/// A kind, and what doing it means.
#[derive(Clone)]
pub(crate) struct Kind {
    pub name: &'static str,
    pub policy: Policy,
    pub work: Work,
}

/// What a service can do in the background.
#[derive(Default)]
pub struct Tasks {
    lanes: HashMap<Lane, HashMap<&'static str, Kind>>,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// How tasks of kind `T` are done. `work` ends with [`TaskRun::finish`] or [`TaskRun::done`].
    #[must_use]
    pub fn on<T, F, Fut>(mut self, work: F) -> Self
    where
        T: Task,
        F: Fn(T, TaskRun) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Done, TaskError>> + Send + 'static,
    {
        let erased: Work = Arc::new(move |payload, run| match serde_json::from_slice::<T>(payload) {
            Ok(task) => Box::pin(work(task, run)),
            Err(fault) => Box::pin(async move { Err(TaskError::Poison(Box::new(fault))) }),
        });
        let kind = Kind {
            name: T::NAME,
            policy: T::POLICY,
            work: erased,
        };
        self.lanes.entry(T::LANE).or_default().insert(T::NAME, kind);
        self
    }

    pub(crate) fn lanes(&self) -> impl Iterator<Item = Lane> {
        Lane::ALL.into_iter().filter(|lane| self.lanes.contains_key(lane))
    }

    pub(crate) fn kind(&self, lane: Lane, name: &str) -> Option<&Kind> {
        self.lanes.get(&lane)?.get(name)
    }
}
