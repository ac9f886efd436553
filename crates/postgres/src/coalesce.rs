//! Group commit for hot small writes: what arrives while a batch commits makes up the next one (docs/adr/0008).
//!
//! Nothing is buffered beyond a commit: an item is answered after the transaction that holds it. Without load a batch has one item
//! and nobody waits for company. Where there was company a moment ago, a batch waits until as many have come again, [`TIMES`] as long as
//! the last one took and [`LONGEST_REST`] at most: the busier the database, the more share a commit. Those who write one thing after the
//! other are soon all there, and wait for nobody else.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use problem::{Problem, codes};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::WriteError;

const TIMES: u32 = 4;
/// A quarter of the company that there was is not waited for the next time.
const FORGOTTEN: usize = 4;
/// A wait that nobody notices.
const LONGEST_REST: Duration = Duration::from_millis(20);

/// How writes are gathered.
#[derive(Debug, Clone, Copy)]
pub struct CoalesceSettings {
    /// Batches that are written at a time. Items with the same key go to the same one, in their order.
    pub writers: usize,
    /// Items of one batch.
    pub max_batch: usize,
    /// Items that wait for each writer; more are refused.
    pub queue: usize,
}

impl Default for CoalesceSettings {
    fn default() -> Self {
        Self {
            // Two would halve the company of each batch.
            writers: 1,
            max_batch: 500,
            queue: 5_000,
        }
    }
}

/// Gathers writes of `I`, each answered with an `O`.
pub struct Coalescer<I, O> {
    writers: Arc<[mpsc::Sender<Waiting<I, O>>]>,
}

struct Waiting<I, O> {
    item: I,
    answer: oneshot::Sender<Result<O, Arc<WriteError>>>,
}

impl<I, O> Clone for Coalescer<I, O> {
    fn clone(&self) -> Self {
        Self {
            writers: Arc::clone(&self.writers),
        }
    }
}

impl<I: Clone + Send + Sync + 'static, O: Send + 'static> Coalescer<I, O> {
    /// Starts the writers; they end with the last handle. `flush` writes one batch in one transaction and gives an answer for each
    /// item, in their order.
    pub fn start<F, Fut>(name: &'static str, settings: CoalesceSettings, flush: F) -> Self
    where
        F: Fn(Vec<I>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<O>, WriteError>> + Send + 'static,
    {
        let writers = (0..settings.writers.max(1)).map(|_| {
            let (sender, receiver) = mpsc::channel(settings.queue.max(1));
            tokio::spawn(run(name, receiver, settings.max_batch.max(1), flush.clone()));
            sender
        });
        Self {
            writers: writers.collect(),
        }
    }

    /// Writes an item and waits for its commit. A caller who stops waiting does not take the item back.
    pub async fn write(&self, key: impl Hash, item: I) -> Result<O, Problem> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let turn = usize::try_from(hasher.finish() % self.writers.len() as u64).unwrap_or_default();
        let (answer, answered) = oneshot::channel();
        self.writers[turn]
            .try_send(Waiting { item, answer })
            .map_err(|_| {
                metrics::counter!("queue_full_total", "queue" => "batches").increment(1);
                Problem::new(&codes::OVERLOADED)
            })?;
        match answered.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault)) => Err(shared_problem(&fault)),
            Err(_) => Err(Problem::internal("the writer of a batch died")),
        }
    }
}

async fn run<I, O, F, Fut>(
    name: &'static str,
    mut queue: mpsc::Receiver<Waiting<I, O>>,
    max_batch: usize,
    flush: F,
) where
    I: Clone + Send + 'static,
    O: Send + 'static,
    F: Fn(Vec<I>) -> Fut,
    Fut: Future<Output = Result<Vec<O>, WriteError>> + Send + 'static,
{
    let mut batch = Vec::with_capacity(max_batch);
    let (mut rest, mut company) = (Duration::ZERO, 1);
    while queue.recv_many(&mut batch, max_batch).await > 0 {
        let more = async {
            while batch.len() < company {
                let room = max_batch - batch.len();
                if queue.recv_many(&mut batch, room).await == 0 {
                    return;
                }
            }
        };
        // What has come when the time is over stays in the batch.
        let _ = timeout(rest, more).await;
        let began = Instant::now();
        company = batch.len().max(company - company.div_ceil(FORGOTTEN));
        metrics::histogram!("coalesced_batch_size", "writes" => name).record(batch.len() as f64);
        let items = batch.iter().map(|waiting| waiting.item.clone()).collect();
        // In a task, whose panic does not end the writer.
        match tokio::spawn(flush(items))
            .await
            .unwrap_or_else(|fault| Err(fault.into()))
        {
            Ok(answers) => {
                for (waiting, answer) in batch.drain(..).zip(answers) {
                    let _ = waiting.answer.send(Ok(answer));
                }
            }
            // One bad item must not fail the others.
            Err(fault) if batch.len() > 1 && is_about_a_value(&fault) => {
                for waiting in batch.drain(..) {
                    let outcome = flush(vec![waiting.item]).await.map_err(Arc::new);
                    let outcome = outcome.and_then(|answers| {
                        answers
                            .into_iter()
                            .next()
                            .ok_or_else(|| Arc::new(WriteError::Database(sqlx::Error::RowNotFound)))
                    });
                    let _ = waiting.answer.send(outcome);
                }
            }
            Err(fault) => {
                let fault = Arc::new(fault);
                for waiting in batch.drain(..) {
                    let _ = waiting.answer.send(Err(Arc::clone(&fault)));
                }
            }
        }
        rest = (began.elapsed() * TIMES).min(LONGEST_REST);
    }
}

/// SQLSTATE classes 22 and 23: data and constraints.
fn is_about_a_value(fault: &WriteError) -> bool {
    match fault {
        WriteError::Database(sqlx::Error::Database(fault)) => fault
            .code()
            .is_some_and(|code| code.starts_with("22") || code.starts_with("23")),
        _ => false,
    }
}

/// The problem of a fault that several callers share.
fn shared_problem(fault: &WriteError) -> Problem {
    let code = match fault {
        WriteError::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => {
            &codes::UNAVAILABLE
        }
        WriteError::Database(sqlx::Error::Database(inner)) => match inner.code().as_deref() {
            Some(code) if code.starts_with("22") => &codes::VALIDATION_FAILED,
            // A deadlock or a lock that did not come is nobody's fault, and gone the next time.
            Some("40001" | "40P01" | "55P03") => &codes::UNAVAILABLE,
            Some(code) if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => {
                &codes::UNAVAILABLE
            }
            _ => &codes::INTERNAL,
        },
        _ => &codes::INTERNAL,
    };
    tracing::error!(error = %fault, "a batch could not be written");
    Problem::new(code)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::future::join_all;

    use super::*;

    fn one_writer() -> CoalesceSettings {
        CoalesceSettings {
            writers: 1,
            ..CoalesceSettings::default()
        }
    }

    #[tokio::test]
    async fn what_comes_while_a_batch_is_written_shares_the_next() {
        let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
        let seen = Arc::clone(&sizes);
        let coalescer = Coalescer::start("test", one_writer(), move |batch: Vec<usize>| {
            seen.lock().unwrap().push(batch.len());
            async move {
                tokio::task::yield_now().await;
                Ok(batch.into_iter().map(|item| item * 2).collect())
            }
        });
        let answers = join_all((0..1_000).map(|item| coalescer.write("one key", item))).await;
        let answers: Vec<usize> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, (0..1_000).map(|item| item * 2).collect::<Vec<_>>());
        let sizes = sizes.lock().unwrap();
        assert_eq!(sizes.iter().sum::<usize>(), 1_000);
        assert!(sizes.len() < 10, "{sizes:?}");
    }

    /// Those who write one thing after the other share their batches; who is left alone has each alone.
    #[tokio::test(start_paused = true)]
    async fn a_batch_waits_for_the_company_that_there_was() {
        let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
        let seen = Arc::clone(&sizes);
        let coalescer = Coalescer::start("test", one_writer(), move |batch: Vec<usize>| {
            seen.lock().unwrap().push(batch.len());
            async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(batch)
            }
        });
        let writing = |count| {
            let coalescer = coalescer.clone();
            async move {
                for item in 0..count {
                    // The others need a moment to come back.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    coalescer.write("one key", item).await.unwrap();
                }
            }
        };
        join_all((0..8).map(|_| writing(20))).await;
        let together = std::mem::take(&mut *sizes.lock().unwrap());
        assert!(together.len() <= 40, "{together:?}");
        writing(20).await;
        assert_eq!(sizes.lock().unwrap().len(), 20);
    }

    #[tokio::test]
    async fn a_batch_that_panics_does_not_end_its_writer() {
        let coalescer = Coalescer::start("test", one_writer(), |batch: Vec<u32>| async move {
            assert!(!batch.contains(&13), "the unlucky one");
            Ok(batch)
        });
        assert_eq!(coalescer.write(1, 13).await.unwrap_err().code().name, "internal");
        assert_eq!(coalescer.write(1, 14).await.unwrap(), 14);
    }
}
