//! Closed loop: so many connections, each with its next request as soon as it has its answer. It finds out how much there can be;
//! its latencies are those of a server that is full.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Serialize;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::action::{Action, Workload};
use crate::actor::{Actor, begin_attempts};
use crate::client::Client;
use crate::cost::{Cost, Meter};
use crate::prepare::ENROLLING_FROM;
use crate::recorder::{Latencies, Tally, record};
use crate::school::School;
use crate::wire::{Connection, address_of};

#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub connections: usize,
    pub threads: usize,
    pub warm_up: Duration,
    pub measured: Duration,
}

/// One measurement of a workload.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// Turns a second that did what the user wanted.
    pub per_second: f64,
    pub latency_ms: Latencies,
    pub statuses: BTreeMap<u16, u64>,
    pub bytes_per_answer: f64,
    pub cost: Cost,
    /// Ended before its time, as there was nothing left to do.
    pub ran_out: bool,
}

/// What the connections of a thread bring home.
struct Share {
    tally: Tally,
    ran_out: bool,
}

pub async fn measure(
    client: &Client,
    school: &Arc<School>,
    meter: &mut Meter,
    workload: Workload,
    plan: Plan,
) -> Result<Round> {
    let actors = actors(client, school, workload, plan.connections).await?;
    let began = Instant::now();
    let (warm, end) = (began + plan.warm_up, began + plan.warm_up + plan.measured);
    let (mut parts, mut connections): (Vec<Vec<Actor>>, usize) =
        ((0..plan.threads).map(|_| Vec::new()).collect(), 0);
    for actor in actors {
        parts[connections % plan.threads].push(actor);
        connections += 1;
    }
    let gateway = client.gateway();
    let mut first = 0;
    let running: Vec<_> = parts
        .into_iter()
        .map(|part| {
            let from = first;
            first += part.len();
            thread::spawn(move || run(part, from, gateway, workload, warm, end))
        })
        .collect();
    tokio::time::sleep_until(warm).await;
    meter.start().await?;
    tokio::time::sleep_until(end).await;
    let cost = meter.stop().await?;
    let (mut whole, mut ran_out) = (Tally::new()?, false);
    for thread in running {
        let share = thread
            .join()
            .map_err(|_| anyhow!("a thread of the load panicked"))??;
        whole.add(&share.tally)?;
        ran_out |= share.ran_out;
    }
    let seconds = plan.measured.as_secs_f64();
    let answers: u64 = whole.statuses.values().sum();
    Ok(Round {
        per_second: whole.done as f64 / seconds,
        latency_ms: Latencies::of(&whole.latency),
        bytes_per_answer: whole.bytes as f64 / (answers.max(1)) as f64,
        cost: cost.each(whole.done),
        statuses: whole.statuses,
        ran_out,
    })
}

/// The connections of one thread.
fn run(
    actors: Vec<Actor>,
    from: usize,
    gateway: SocketAddr,
    workload: Workload,
    warm: Instant,
    end: Instant,
) -> Result<Share> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let share = Rc::new(RefCell::new(Share {
        tally: Tally::new()?,
        ran_out: false,
    }));
    let local = LocalSet::new();
    let tasks: Vec<_> = actors
        .into_iter()
        .enumerate()
        .map(|(at, actor)| {
            let (share, from) = (Rc::clone(&share), address_of(2 * ENROLLING_FROM + from + at));
            local.spawn_local(async move {
                let connection = Connection::open(gateway, from).await?;
                saturate(connection, actor, workload, warm, end, &share).await
            })
        })
        .collect();
    local.block_on(&runtime, async {
        for task in tasks {
            task.await??;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    drop(local);
    let share = Rc::into_inner(share).context("a connection is still there")?;
    Ok(share.into_inner())
}

async fn saturate(
    mut connection: Connection,
    mut actor: Actor,
    workload: Workload,
    warm: Instant,
    end: Instant,
    share: &RefCell<Share>,
) -> Result<()> {
    let mut request = Vec::with_capacity(2_048);
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(());
        }
        actor.next_turn();
        let mut is_done = true;
        for action in workload.turn(actor.chance()) {
            if !actor.write(*action, &mut request) {
                share.borrow_mut().ran_out = true;
                return Ok(());
            }
            let answer = connection
                .exchange(&request)
                .await
                .with_context(|| format!("a connection broke while it was saturated: {}", action.name()))?;
            ensure!(
                answer.is_kept,
                "the gateway closes connections ({})",
                answer.status
            );
            is_done &= action.is_done(answer.status);
            if sent >= warm {
                let tally = &mut share.borrow_mut().tally;
                *tally.statuses.entry(answer.status).or_default() += 1;
                tally.bytes += answer.bytes as u64;
            }
        }
        if sent >= warm {
            let tally = &mut share.borrow_mut().tally;
            record(&mut tally.latency, sent.elapsed());
            tally.done += u64::from(is_done);
        }
    }
}

/// Shares the accounts out among connections.
async fn actors(
    client: &Client,
    school: &Arc<School>,
    workload: Workload,
    connections: usize,
) -> Result<Vec<Actor>> {
    let share =
        |all: usize, connection: usize| -> Vec<usize> { (connection..all).step_by(connections).collect() };
    let (learning, enrolling) = (school.learning.len(), school.enrolling.len());
    ensure!(
        learning >= connections && enrolling >= connections,
        "as many accounts as connections are needed at least: {learning} and {enrolling} for {connections}"
    );
    let mut actors = Vec::with_capacity(connections);
    for connection in 0..connections {
        let learning = share(learning, connection);
        let attempts = if workload.needs(Action::Answer) {
            begin_attempts(client, school, &learning).await?
        } else {
            Vec::new()
        };
        let enrolling = share(enrolling, connection);
        actors.push(Actor::new(Arc::clone(school), learning, enrolling, attempts));
    }
    Ok(actors)
}
