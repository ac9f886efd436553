//! Open loop: each user's requests are due at fixed moments, whatever became of the ones before, and a latency counts from when its
//! request was due. A server that stalls is not spared the requests that users would have sent meanwhile (no coordinated omission).

mod record;
mod series;
mod user;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use serde::Serialize;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::action::Kind;
use crate::actor::{Actor, begin_attempts};
use crate::client::Client;
use crate::cost::{Cost, Meter};
use crate::school::School;
use record::Record;
pub use record::{Requests, Second};
pub use series::Point;
use user::User;

#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub users: usize,
    pub threads: usize,
    /// Over which time the users come.
    pub ramp: Duration,
    pub measured: Duration,
    /// Requests a second of all; by the users' own think times when unset.
    pub rate: Option<f64>,
}

/// After the last user has come, and before it is measured.
pub const CALM: Duration = Duration::from_secs(3);
/// Answers are waited for so long after the end.
const PATIENCE: Duration = Duration::from_secs(15);

/// What users met with.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub users: usize,
    /// Requests a second that were due.
    pub offered_per_second: f64,
    /// Requests a second that did what their user wanted.
    pub goodput_per_second: f64,
    pub all: Requests,
    pub by_action: Vec<Requests>,
    pub by_kind: Vec<Requests>,
    /// Answers 503 and 429, from when they were sent.
    pub shed: Requests,
    /// How late this generator sent what it could send in time.
    pub generator_late_ms: crate::recorder::Latencies,
    /// Idle connections that the gateway had closed.
    pub reopened: u64,
    /// Somebody had enrolled in all courses and stopped.
    pub ran_out: bool,
    pub cost: Cost,
    /// Most memory of the product's own processes together, in bytes.
    pub our_memory: u64,
    /// That of each process at that moment.
    pub memory: std::collections::BTreeMap<String, u64>,
    pub seconds: Vec<Second>,
    pub series: Vec<Point>,
    /// When the measurement began and ended, in seconds of the above.
    pub measured: (f64, f64),
}

/// When what happens.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    began: Instant,
    warm: Instant,
    end: Instant,
    ramp: Duration,
    users: usize,
    /// Think times are divided by this.
    haste: f64,
}

impl Times {
    /// Whether a request that was due then belongs to the measurement.
    fn is_measured(self, due: Instant) -> bool {
        due >= self.warm && due < self.end
    }
}

pub async fn run(
    client: &Client,
    school: &Arc<School>,
    meter: &mut Meter,
    what: &'static str,
    plan: Plan,
) -> Result<Outcome> {
    let natural: f64 = (0..plan.users)
        .map(|user| 1.0 / Kind::of(user).think_seconds())
        .sum();
    let users = users(client, school, plan.users).await?;
    let began = Instant::now() + Duration::from_millis(200);
    let warm = began + plan.ramp + CALM;
    let times = Times {
        began,
        warm,
        end: warm + plan.measured,
        ramp: plan.ramp,
        users: plan.users,
        haste: plan.rate.map_or(1.0, |rate| rate / natural),
    };
    let mut parts: Vec<Vec<User>> = (0..plan.threads).map(|_| Vec::new()).collect();
    for (at, user) in users.into_iter().enumerate() {
        parts[at % plan.threads].push(user);
    }
    let (gateway, answered) = (client.gateway(), Arc::new(AtomicU64::new(0)));
    let running: Vec<_> = parts
        .into_iter()
        .map(|part| {
            let answered = Arc::clone(&answered);
            thread::spawn(move || serve(part, gateway, times, answered))
        })
        .collect();
    let (series, cost) = series::watch(meter, what, times, &answered).await?;
    let mut whole = Record::new(answered)?;
    for thread in running {
        let part = thread
            .join()
            .map_err(|_| anyhow!("a thread of the load panicked"))??;
        whole.add(part)?;
    }
    whole.outcome(meter.processes(), times, natural, series, cost)
}

/// The users of one thread.
fn serve(users: Vec<User>, gateway: SocketAddr, times: Times, answered: Arc<AtomicU64>) -> Result<Record> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let record = Rc::new(RefCell::new(Record::new(answered)?));
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let tasks: Vec<_> = users
            .into_iter()
            .map(|user| {
                let record = Rc::clone(&record);
                tokio::task::spawn_local(async move { user.live(gateway, times, &record).await })
            })
            .collect();
        for task in tasks {
            // Whoever still waits then is given up; the request counts as unanswered.
            if let Ok(lived) = tokio::time::timeout_at(times.end + PATIENCE, task).await {
                lived??;
            }
        }
        Ok::<_, anyhow::Error>(())
    })?;
    drop(local);
    let record = Rc::into_inner(record).ok_or_else(|| anyhow!("a user is still there"))?;
    Ok(record.into_inner())
}

/// Gives each user an account. Nobody shares the account of somebody who sits an exam.
async fn users(client: &Client, school: &Arc<School>, count: usize) -> Result<Vec<User>> {
    let of_kind = |kind: Kind| (0..count).filter(move |user| Kind::of(*user) == kind);
    let sitting: Vec<usize> = (0..of_kind(Kind::Sitting).count()).collect();
    let others = school.learning.len().saturating_sub(sitting.len());
    ensure!(
        others > 0 && school.enrolling.len() >= of_kind(Kind::Heavy).count(),
        "too few accounts for {count} users"
    );
    let mut attempts = begin_attempts(client, school, &sitting).await?.into_iter();
    let (mut next_sitting, mut next_other, mut next_heavy) = (0, 0, 0);
    let take = |number: &mut usize| {
        *number += 1;
        *number - 1
    };
    let mut users = Vec::with_capacity(count);
    for number in 0..count {
        let kind = Kind::of(number);
        let actor = if kind == Kind::Sitting {
            let account = take(&mut next_sitting);
            let attempt = attempts.next().into_iter().collect();
            Actor::new(Arc::clone(school), vec![account], Vec::new(), attempt)
        } else {
            let account = sitting.len() + take(&mut next_other) % others;
            let enrolling = (kind == Kind::Heavy).then(|| take(&mut next_heavy));
            Actor::new(
                Arc::clone(school),
                vec![account],
                enrolling.into_iter().collect(),
                Vec::new(),
            )
        };
        users.push(User { number, kind, actor });
    }
    Ok(users)
}
