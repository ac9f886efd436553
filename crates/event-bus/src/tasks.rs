//! The way of tasks through the broker. What a task is, and what is true of it, is the business of `task-queue`.

mod message;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connection::{Backoff, BusError, EventBus, PATIENCE};
use crate::topology::Queue;
use message::Outlet;
pub use message::TaskMessage;

const TAG: &str = "worker";

/// A message that finds all workers busy for so long comes again later. The broker closes the channel of a message that is not
/// acknowledged for half an hour.
const MOST_WAIT: Duration = Duration::from_mins(1);

/// Takes tasks out of one queue, so many at a time.
pub struct TaskConsumer {
    bus: EventBus,
    queue: Queue,
    concurrency: u16,
}

impl TaskConsumer {
    pub fn new(bus: EventBus, queue: Queue, concurrency: u16) -> Self {
        Self {
            bus,
            queue,
            concurrency,
        }
    }

    /// Runs until `shutdown`, and until what is in hand came to an end. `handle` has to settle its message; one that it lets go
    /// unsettled is delivered again when the connection ends.
    pub async fn run<F, Fut>(self, shutdown: CancellationToken, handle: F)
    where
        F: Fn(TaskMessage) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        // A connection that breaks does not end what is under way: the record knows who does it. Dropping this future does.
        let mut running = JoinSet::new();
        let (slots, mut backoff) = (
            Arc::new(Semaphore::new(self.concurrency.into())),
            Backoff::default(),
        );
        while !shutdown.is_cancelled() {
            let session = self.session(&shutdown, &mut backoff, &mut running, &slots, &handle);
            let Err(fault) = session.await else {
                return;
            };
            self.bus.lost();
            let pause = backoff.next();
            tracing::warn!(
                queue = self.queue.name(),
                error = &fault as &dyn std::error::Error,
                ?pause,
                "tasks cannot be taken"
            );
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// One connection's life; `Ok` when it ended by `shutdown`.
    async fn session<F, Fut>(
        &self,
        shutdown: &CancellationToken,
        backoff: &mut Backoff,
        running: &mut JoinSet<()>,
        slots: &Arc<Semaphore>,
        handle: &F,
    ) -> Result<(), BusError>
    where
        F: Fn(TaskMessage) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let name = self.queue.name();
        let link = self.bus.working().await?;
        let starting = async {
            link.channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            // No more than there are workers: what waits here could be done by another process.
            link.channel
                .basic_qos(self.concurrency, BasicQosOptions::default())
                .await?;
            link.channel
                .basic_consume(
                    name.as_str().into(),
                    TAG.into(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await
        };
        let mut messages = tokio::time::timeout(PATIENCE, starting).await??;
        tracing::debug!(queue = name, "taking tasks");
        backoff.reset();
        let outlet = Arc::new(Outlet::new(link.channel.clone(), self.queue));
        loop {
            let next = tokio::select! {
                () = shutdown.cancelled() => break,
                next = messages.next() => next,
            };
            let message = TaskMessage::new(next.ok_or(BusError::Closed)??, Arc::clone(&outlet));
            let slot = tokio::select! {
                () = shutdown.cancelled() => break,
                slot = Arc::clone(slots).acquire_owned() => slot.map_err(|_| BusError::Closed)?,
                () = tokio::time::sleep(MOST_WAIT) => {
                    message.come_again(MOST_WAIT).await;
                    continue;
                }
            };
            while running.try_join_next().is_some() {}
            let work = handle(message);
            running.spawn(async move {
                work.await;
                drop(slot);
            });
        }
        let cancelling = link
            .channel
            .basic_cancel(TAG.into(), BasicCancelOptions::default());
        let _ = tokio::time::timeout(PATIENCE, cancelling).await;
        while running.join_next().await.is_some() {}
        link.close().await;
        Ok(())
    }
}
