//! Whether the services answer, asked in the background: the health routes are open to all and must cost nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contracts::Rpc;
use contracts::auth::v1::rpc::GetJwks;
use contracts::catalog::v1::rpc::ListCategories;
use contracts::enrollment::v1::rpc::ListMyEnrollments;
use contracts::exam::v1::rpc::ListMyResults;
use contracts::notification::v1::rpc::ListNotifications;
use contracts::reporting::v1::rpc::ListMyActivity;
use contracts::video_progress::v1::rpc::ListMyProgress;
use rpc_client::RpcClient;
use service_runtime::admin::Health;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::Clients;

/// Between two rounds: often while something is missing, so that a start or a return is seen at once.
const WHILE_WHOLE: Duration = Duration::from_secs(2);
const WHILE_BROKEN: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(1);

/// What the last round found.
#[derive(Clone, Default)]
pub struct Watch {
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    database: AtomicBool,
    auth: AtomicBool,
    catalog: AtomicBool,
    enrollment: AtomicBool,
    notification: AtomicBool,
    video_progress: AtomicBool,
    exam: AtomicBool,
    reporting: AtomicBool,
}

/// How a service took a call without a token.
struct Answer {
    /// It answered, be it with a refusal.
    is_there: bool,
    /// It did what was asked.
    did_it: bool,
}

impl Watch {
    /// The checks of the gateway's readiness. One service that is away must not take the routes of the others along: only the
    /// database has to be there, which all of them need.
    pub fn add_to(&self, health: Health) -> Health {
        let probe = |pick: fn(&Seen) -> &AtomicBool| {
            let seen = Arc::clone(&self.seen);
            move || std::future::ready(pick(&seen).load(Ordering::Relaxed))
        };
        health
            .requires("database", probe(|seen| &seen.database))
            .shows("auth", probe(|seen| &seen.auth))
            .shows("catalog", probe(|seen| &seen.catalog))
            .shows("enrollment", probe(|seen| &seen.enrollment))
            .shows("notification", probe(|seen| &seen.notification))
            .shows("video_progress", probe(|seen| &seen.video_progress))
            .shows("exam", probe(|seen| &seen.exam))
            .shows("reporting", probe(|seen| &seen.reporting))
    }

    /// Asks all services again and again.
    pub async fn run(self, clients: Clients, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let (auth, catalog, enrollment, notification, video_progress, exam, reporting) = tokio::join!(
                ask::<GetJwks>(&clients.auth),
                ask::<ListCategories>(&clients.catalog),
                ask::<ListMyEnrollments>(&clients.enrollment),
                ask::<ListNotifications>(&clients.notification),
                ask::<ListMyProgress>(&clients.video_progress),
                ask::<ListMyResults>(&clients.exam),
                ask::<ListMyActivity>(&clients.reporting),
            );
            let seen = &self.seen;
            // Catalog alone reads its tables for anybody. While it is away, the answers of others have to do.
            let others = [
                &auth,
                &enrollment,
                &notification,
                &video_progress,
                &exam,
                &reporting,
            ];
            let others = others.iter().any(|answer| answer.is_there);
            let database = catalog.did_it || (!catalog.is_there && others);
            seen.database.store(database, Ordering::Relaxed);
            let mut is_whole = true;
            for (service, answer) in [
                (&seen.auth, auth),
                (&seen.catalog, catalog),
                (&seen.enrollment, enrollment),
                (&seen.notification, notification),
                (&seen.video_progress, video_progress),
                (&seen.exam, exam),
                (&seen.reporting, reporting),
            ] {
                service.store(answer.is_there, Ordering::Relaxed);
                is_whole &= answer.is_there;
            }
            let pause = if is_whole { WHILE_WHOLE } else { WHILE_BROKEN };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

async fn ask<R: Rpc>(client: &RpcClient) -> Answer {
    let asked = tokio::time::timeout(PATIENCE, client.call::<R>(R::Request::default())).await;
    match asked {
        Ok(Ok(_)) => Answer {
            is_there: true,
            did_it: true,
        },
        Ok(Err(status)) => Answer {
            is_there: is_own(&status),
            did_it: false,
        },
        Err(_) => Answer {
            is_there: false,
            did_it: false,
        },
    }
}

/// A refusal of our services carries details; a fault on the way has none.
fn is_own(status: &Status) -> bool {
    !status.details().is_empty()
}
