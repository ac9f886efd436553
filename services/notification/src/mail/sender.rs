//! Empties the queue of mails: claims due ones, sends them, records how it went.

use std::sync::Arc;
use std::time::Duration as StdDuration;

use clock::Clock;
use futures::StreamExt;
use postgres::Database;
use rand::Rng;
use time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::transport::{SendError, Transport};
use crate::storage::mails::{self, Mail};

/// Longer than any attempt takes; after a crash a claimed mail is due again by then.
const LEASE: Duration = Duration::minutes(2);
const SEND_TIMEOUT: StdDuration = StdDuration::from_secs(30);
/// How long a new mail may wait when nobody wakes the sender, as when another process queued it.
const POLL: StdDuration = StdDuration::from_secs(1);
/// A-RES-01: after this many faults of the way out in a row it is left alone for a while.
const BREAKER_THRESHOLD: u32 = 5;
const BREAKER_PAUSE: Duration = Duration::seconds(60);

pub struct Sender {
    pub db: Database,
    pub clock: Clock,
    pub transport: Transport,
    pub wake: Arc<Notify>,
    pub concurrency: u16,
    pub max_attempts: i32,
}

enum Outcome {
    Sent,
    /// The mail's own fault.
    Refused,
    /// The fault of the way out.
    Unreachable,
}

impl Sender {
    pub async fn run(self, shutdown: CancellationToken) {
        let mut faults_in_a_row = 0;
        while !shutdown.is_cancelled() {
            let sent = self.send_due(&mut faults_in_a_row).await;
            match sent {
                Ok(0) => self.idle(&shutdown, POLL).await,
                Ok(_) => {}
                Err(fault) => {
                    tracing::warn!(
                        error = &fault as &dyn std::error::Error,
                        "the queue of mails cannot be read"
                    );
                    self.idle(&shutdown, POLL).await;
                }
            }
            if faults_in_a_row >= BREAKER_THRESHOLD {
                tracing::warn!(
                    pause_seconds = BREAKER_PAUSE.whole_seconds(),
                    "mails cannot leave; pausing"
                );
                metrics::counter!("mail_breaker_opened_total").increment(1);
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(BREAKER_PAUSE.unsigned_abs()) => {}
                }
                // One attempt decides whether it stays closed.
                faults_in_a_row = BREAKER_THRESHOLD - 1;
            }
        }
    }

    async fn idle(&self, shutdown: &CancellationToken, at_most: StdDuration) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.wake.notified() => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }

    /// Sends one batch and says how many it took. What was begun is finished, also at shutdown.
    async fn send_due(&self, faults_in_a_row: &mut u32) -> Result<usize, sqlx::Error> {
        let batch = if *faults_in_a_row == 0 {
            i64::from(self.concurrency)
        } else {
            1
        };
        let due = mails::claim(self.db.primary(), batch, LEASE, self.clock.now()).await?;
        let count = due.len();
        let mut attempts = futures::stream::iter(due)
            .map(|mail| self.send(mail))
            .buffer_unordered(usize::from(self.concurrency));
        while let Some(outcome) = attempts.next().await {
            match outcome? {
                Outcome::Unreachable => *faults_in_a_row += 1,
                Outcome::Sent | Outcome::Refused => *faults_in_a_row = 0,
            }
        }
        Ok(count)
    }

    async fn send(&self, mail: Mail) -> Result<Outcome, sqlx::Error> {
        let sent = match tokio::time::timeout(SEND_TIMEOUT, self.transport.send(&mail)).await {
            Ok(sent) => sent,
            Err(_) => Err(SendError::File(std::io::ErrorKind::TimedOut.into())),
        };
        let now = self.clock.now();
        match sent {
            Ok(()) => {
                mails::mark_sent(self.db.primary(), mail.id, now).await?;
                metrics::counter!("mails_total", "kind" => mail.kind, "outcome" => "sent").increment(1);
                Ok(Outcome::Sent)
            }
            Err(fault) => {
                let gone = fault.is_final() || mail.attempts >= self.max_attempts;
                tracing::warn!(
                    mail_id = %mail.id, kind = mail.kind, attempt = mail.attempts, given_up = gone,
                    error = &fault as &dyn std::error::Error, "a mail was not sent"
                );
                let retry_at = (!gone).then(|| now + backoff(mail.attempts));
                mails::mark_failed(self.db.primary(), mail.id, &fault.to_string(), retry_at).await?;
                let outcome = if gone { "given_up" } else { "retried" };
                metrics::counter!("mails_total", "kind" => mail.kind, "outcome" => outcome).increment(1);
                Ok(if fault.is_final() {
                    Outcome::Refused
                } else {
                    Outcome::Unreachable
                })
            }
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
