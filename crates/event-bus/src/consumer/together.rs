//! Events that wait, in one transaction (docs/adr/0027). After a fault nothing has happened.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use lapin::message::Delivery as Message;
use postgres::{Finished, WriteError, WriteTx, is_about_others, is_away};
use sqlx::AssertSqlSafe;
use tracing::Instrument;
use typed_id::EventId;
use uuid::Uuid;

use super::handle::{Handling, Outcome};
use super::settle::{ack, ack_until};
use crate::batch::events_of;
use crate::subscription::{Handler, HandlerError, Received};

/// Why events were not handled together: one of them failed.
pub struct Fault {
    /// The place of its message among them.
    pub at: usize,
    pub event: EventId,
    pub fault: HandlerError,
}

/// As [`Fault`], or nobody's own.
struct Unclear {
    /// As in [`Fault`].
    of: Option<(usize, EventId)>,
    fault: HandlerError,
}

impl From<WriteError> for Unclear {
    fn from(fault: WriteError) -> Self {
        Self {
            of: None,
            fault: fault.into(),
        }
    }
}

impl Unclear {
    fn into_own(self) -> Option<Fault> {
        let error = &self.fault as &dyn std::error::Error;
        tracing::debug!(error, "events could not be handled together");
        match (self.of, self.fault) {
            (Some(_), HandlerError::Transient(fault))
                if is_away(fault.as_ref()) || is_about_others(fault.as_ref()) =>
            {
                None
            }
            (Some((at, event)), fault) => Some(Fault { at, event, fault }),
            (None, _) => None,
        }
    }
}

/// An event, what is done with it, and its place among the messages.
struct Work {
    at: usize,
    handler: Handler,
    received: Received,
}

impl Handling {
    /// Handles what it can in one transaction, and takes those messages out; gives the one that failed. What is left is to be handled
    /// one by one: nobody's event, or all of them after a fault that is no event's own. `are_all`: these are all that were delivered and
    /// are not settled.
    pub async fn together(self: &Arc<Self>, messages: &mut Vec<Message>, are_all: bool) -> Option<Fault> {
        let works: Vec<(usize, Vec<Work>)> = (messages.iter().enumerate())
            .filter_map(|(at, message)| Some((at, self.works_of(at, message)?)))
            .collect();
        // A message whose events nobody handles is done with.
        let mut done = vec![false; messages.len()];
        works.iter().for_each(|(at, _)| done[*at] = true);
        let works = works.into_iter().flat_map(|(_, works)| works).collect();
        let (started, handling) = (Instant::now(), Arc::clone(self));
        let outcomes = match self.db.write(move |tx| handling.process_all(tx, works)).await {
            Ok(outcomes) => outcomes,
            Err(fault) => return fault.into_own(),
        };
        let seconds = metrics::histogram!("consumer_seconds", "consumer" => self.name.clone());
        for (event_type, outcome) in outcomes {
            seconds.record(started.elapsed());
            self.count(&event_type, outcome.as_str());
        }
        match messages.last() {
            // One frame, and one entry in the queue's log.
            Some(last) if are_all && done.iter().all(|done| *done) => {
                ack_until(last).await;
            }
            _ => {
                for (message, done) in messages.iter().zip(&done) {
                    // On a broken channel there is nobody to tell.
                    if *done && !ack(message).await {
                        break;
                    }
                }
            }
        }
        let mut done = done.into_iter();
        messages.retain(|_| done.next() == Some(false));
        None
    }

    /// What is to be done with a message; `None` when that is not known.
    fn works_of(&self, at: usize, message: &Message) -> Option<Vec<Work>> {
        let works = events_of(message)?.into_iter().filter_map(|event| {
            let event_type = event.envelope.event_type.as_str();
            let handler = self.subscription.handlers.get(event_type)?.clone();
            Some(Work {
                at,
                handler,
                received: (event.envelope, event.payload.into()),
            })
        });
        Some(works.collect())
    }

    async fn process_all(
        self: Arc<Self>,
        mut tx: WriteTx,
        works: Vec<Work>,
    ) -> Result<Finished<Vec<(String, Outcome)>>, Unclear> {
        let mut ids: Vec<EventId> = works.iter().map(|work| work.received.0.id).collect();
        let mut new = if self.subscription.is_repeatable {
            ids.iter().map(|id| id.0).collect()
        } else {
            enter_all(&mut tx, &self.name, &mut ids)
                .await
                .map_err(WriteError::from)?
        };
        let mut outcomes = Vec::with_capacity(works.len());
        let mut group: Vec<Work> = Vec::new();
        for work in works {
            let (envelope, _) = &work.received;
            let is_new = new.remove(&envelope.id.0);
            let outcome = if is_new { Outcome::Done } else { Outcome::Duplicate };
            outcomes.push((envelope.event_type.clone(), outcome));
            if !is_new {
                continue;
            }
            if !group.last().is_some_and(|last| goes_with(last, &work)) {
                self.take_effect(&mut tx, std::mem::take(&mut group)).await?;
            }
            group.push(work);
        }
        self.take_effect(&mut tx, group).await?;
        Ok(tx.commit(outcomes).await?)
    }

    /// Events of one type, one after the other in the queue.
    async fn take_effect(&self, tx: &mut WriteTx, group: Vec<Work>) -> Result<(), Unclear> {
        let Some(first) = group.first() else {
            return Ok(());
        };
        let of = (group.len() == 1).then_some((first.at, first.received.0.id));
        let handler = first.handler.clone();
        // Whatever is told on behalf of several is told on behalf of the first; each has its span.
        let mut contexts = group.iter().map(|work| self.context_of(&work.received.0));
        let Some((context, span)) = contexts.next() else {
            return Ok(());
        };
        let _others: Vec<_> = contexts.collect();
        let received = group.into_iter().map(|work| work.received).collect();
        let effect = (handler.effect)(tx, received).instrument(span);
        let done = request_context::scope(context, effect).await;
        done.map_err(|fault| Unclear { of, fault })
    }
}

fn goes_with(last: &Work, next: &Work) -> bool {
    next.handler.takes_many && last.received.0.event_type == next.received.0.event_type
}

/// Records that these events are being handled; gives those that were not before.
async fn enter_all(
    tx: &mut WriteTx,
    consumer: &str,
    ids: &mut [EventId],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    // In one order everywhere, as two who were given the same events wait for each other.
    ids.sort_unstable();
    let statement = format!(
        "INSERT INTO {}.inbox (consumer, event_id) SELECT $1, id FROM unnest($2::uuid[]) AS new (id)
         ON CONFLICT DO NOTHING RETURNING event_id",
        tx.schema()
    );
    let new: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(consumer)
        .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
    Ok(new.into_iter().collect())
}
