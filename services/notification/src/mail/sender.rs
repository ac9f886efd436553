//! Empties the queue of mails: claims due ones, sends them, records how it went.

use std::sync::Arc;
use std::time::Duration as StdDuration;

use futures::StreamExt;
use rand::Rng;
use rpc_client::{Breaker, BreakerSettings};
use time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::transport::{SendError, Transport};
use crate::app::Notification;
use crate::config::MailSettings;
use crate::storage::mails::{self, Mail, Next, Share};
use crate::usecases::unsubscribe;

/// Longer than any attempt takes; after a crash a claimed mail is due again by then.
const LEASE: Duration = Duration::minutes(2);
const SEND_TIMEOUT: StdDuration = StdDuration::from_secs(30);
/// How long a new mail may wait when nobody wakes the sender, as when another process queued it.
const POLL: StdDuration = StdDuration::from_secs(1);
/// Between two batches that were not full.
const GATHER: StdDuration = StdDuration::from_millis(100);
/// A-RES-01: after this many faults of the way out in a row it is left alone for a while.
const BREAKER: BreakerSettings = BreakerSettings {
    threshold: 5,
    first_pause: StdDuration::from_mins(1),
    max_pause: StdDuration::from_mins(1),
};
/// In every so many rounds one mail is taken because it waited longest, however little urgent it is.
const FAIR_ROUND: u64 = 4;
/// A mail that nobody was there to take is tried this long.
const LIFETIME: Duration = Duration::days(3);

pub struct Sender {
    app: Arc<Notification>,
    transport: Transport,
    breaker: Breaker,
    concurrency: u16,
    max_attempts: i32,
}

enum Outcome {
    Sent,
    /// The mail's own fault.
    Refused,
    /// The fault of the way out.
    Unreachable,
}

impl Sender {
    pub fn new(app: Arc<Notification>, transport: Transport, settings: &MailSettings) -> Self {
        Self {
            app,
            transport,
            breaker: Breaker::new(BREAKER),
            concurrency: settings.concurrency,
            max_attempts: settings.max_attempts,
        }
    }

    /// With another patience, for tests.
    #[cfg(test)]
    pub fn with_breaker(self, breaker: Breaker) -> Self {
        Self { breaker, ..self }
    }

    pub async fn run(self, shutdown: CancellationToken) {
        let mut round = 0_u64;
        while !shutdown.is_cancelled() {
            round += 1;
            match self.send_due(round).await {
                Ok(0) => self.idle(&shutdown).await,
                // What comes meanwhile is claimed together.
                Ok(count) if count < usize::from(self.concurrency) => tokio::time::sleep(GATHER).await,
                Ok(_) => {}
                Err(fault) => {
                    tracing::warn!(
                        error = &fault as &dyn std::error::Error,
                        "the queue of mails cannot be read"
                    );
                    self.idle(&shutdown).await;
                }
            }
        }
    }

    async fn idle(&self, shutdown: &CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            // While nothing may be sent, nobody needs to hurry.
            () = self.app.wake_sender.notified(), if !self.breaker.is_open() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }

    /// Sends one batch and says how many it took. What was begun is finished, also at shutdown.
    pub async fn send_due(&self, round: u64) -> Result<usize, sqlx::Error> {
        if !self.breaker.allows() {
            return Ok(0);
        }
        // After a pause, one mail tries.
        let batch = if self.breaker.is_open() {
            1
        } else {
            i64::from(self.concurrency)
        };
        let longest_waiting = i64::from(round.is_multiple_of(FAIR_ROUND));
        let share = Share {
            most_urgent: batch - longest_waiting,
            longest_waiting,
        };
        let (db, now) = (self.app.db.primary(), self.app.clock.now());
        let due = mails::claim(db, share, LEASE, now)
            .await
            .inspect_err(|_| self.breaker.abandoned())?;
        if due.is_empty() {
            self.breaker.abandoned();
        }
        let count = due.len();
        let mut attempts = futures::stream::iter(due)
            .map(|mail| self.send(mail))
            .buffer_unordered(usize::from(self.concurrency))
            // Those that are out by now are recorded together.
            .ready_chunks(usize::from(self.concurrency));
        let mut outcome = Ok(count);
        while let Some(attempts) = attempts.next().await {
            let sent: Vec<&Mail> = (attempts.iter())
                .filter_map(|(mail, outcome)| matches!(outcome, Ok(Outcome::Sent)).then_some(mail))
                .collect();
            let recorded = self.record_sent(&sent).await;
            for (_, attempt) in attempts {
                match attempt {
                    Ok(Outcome::Unreachable) => self.unreachable(),
                    Ok(Outcome::Sent | Outcome::Refused) => self.breaker.succeeded(),
                    Err(fault) => {
                        self.breaker.abandoned();
                        outcome = Err(fault);
                    }
                }
            }
            if let Err(fault) = recorded {
                outcome = Err(fault);
            }
        }
        outcome
    }

    fn unreachable(&self) {
        let was_open = self.breaker.is_open();
        self.breaker.failed();
        if self.breaker.is_open() && !was_open {
            tracing::warn!("mails cannot leave; pausing");
            metrics::counter!("mail_breaker_opened_total").increment(1);
        }
    }

    /// Tries a mail, and records it when that failed.
    async fn send(&self, mail: Mail) -> (Mail, Result<Outcome, sqlx::Error>) {
        let app = &self.app;
        let unsubscribe = unsubscribe::token(&app.pages, &mail, app.clock.now());
        let unsubscribe = unsubscribe.map(|token| app.links.unsubscribe(&token));
        let sending = self.transport.send(&mail, unsubscribe.as_deref());
        let sent = match tokio::time::timeout(SEND_TIMEOUT, sending).await {
            Ok(sent) => sent,
            Err(_) => Err(SendError::File(std::io::ErrorKind::TimedOut.into())),
        };
        let outcome = match sent {
            Ok(()) => Ok(Outcome::Sent),
            Err(fault) => self.record_failed(&mail, &fault).await,
        };
        (mail, outcome)
    }

    /// Together; where that fails one by one, as what is not recorded is sent again.
    async fn record_sent(&self, mails: &[&Mail]) -> Result<(), sqlx::Error> {
        if mails.is_empty() {
            return Ok(());
        }
        let (db, now) = (self.app.db.primary(), self.app.clock.now());
        let ids: Vec<Uuid> = mails.iter().map(|mail| mail.id.0).collect();
        if mails::mark_sent(db, &ids, now).await.is_err() {
            for id in &ids {
                mails::mark_sent(db, &[*id], now).await?;
            }
        }
        for mail in mails {
            metrics::counter!("mails_total", "kind" => mail.kind.clone(), "outcome" => "sent").increment(1);
        }
        Ok(())
    }

    async fn record_failed(&self, mail: &Mail, fault: &SendError) -> Result<Outcome, sqlx::Error> {
        let next = self.after(fault, mail, self.app.clock.now());
        tracing::warn!(
            mail_id = %mail.id, kind = mail.kind, attempt = mail.attempts, given_up = next == Next::GiveUp,
            error = fault as &dyn std::error::Error, "a mail was not sent"
        );
        mails::mark_failed(self.app.db.primary(), mail.id, &fault.to_string(), next).await?;
        let outcome = if next == Next::GiveUp {
            "given_up"
        } else {
            "retried"
        };
        metrics::counter!("mails_total", "kind" => mail.kind.clone(), "outcome" => outcome).increment(1);
        Ok(if fault.is_of_the_way() {
            Outcome::Unreachable
        } else {
            Outcome::Refused
        })
    }

    /// A relay that is away costs no mail its attempts; one that answers does.
    fn after(&self, fault: &SendError, mail: &Mail, now: time::OffsetDateTime) -> Next {
        let retry_at = now + backoff(mail.attempts);
        if fault.is_final() {
            Next::GiveUp
        } else if fault.is_of_the_way() {
            let is_old = now - mail.created_at > LIFETIME;
            if is_old {
                Next::GiveUp
            } else {
                Next::Again(retry_at)
            }
        } else if mail.attempts >= self.max_attempts {
            Next::GiveUp
        } else {
            Next::Retry(retry_at)
        }
    }
}

/// A-RES-02: 4 s, doubling, at most 10 minutes, and up to half as long again so that mails do not march in step.
fn backoff(attempts: i32) -> Duration {
    let seconds = 4_i64 << attempts.saturating_sub(1).clamp(0, 8);
    let seconds = seconds.min(600) as f64;
    Duration::seconds_f64(seconds * rand::rng().random_range(1.0..1.5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waiting_grows_and_stays_bounded(attempts in i32::MIN..i32::MAX) {
            let wait = backoff(attempts);
            prop_assert!(wait >= Duration::seconds(4) && wait <= Duration::minutes(15));
        }
    }
}
