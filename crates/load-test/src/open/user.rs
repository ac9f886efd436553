//! One user on one kept connection.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep, sleep_until};

use super::Times;
use super::record::{Happened, Record};
use crate::action::Kind;
use crate::actor::Actor;
use crate::wire::{Connection, address_of};

/// What cannot be sent is tried again no faster than this.
const BROKEN: Duration = Duration::from_millis(100);

/// A connection is opened this long before its first request at most.
const ASKS_WITHIN: Duration = Duration::from_secs(5);

pub struct User {
    pub number: usize,
    pub kind: Kind,
    pub actor: Actor,
}

impl User {
    pub async fn live(mut self, gateway: SocketAddr, times: Times, record: &RefCell<Record>) -> Result<()> {
        let think = Duration::from_secs_f64(self.kind.think_seconds() / times.haste);
        let share = self.number as f64 / times.users as f64;
        let comes = times.began + times.ramp.mul_f64(share);
        // The golden ratio spreads the first requests over the think time: together they come at a constant rate.
        let phase = (self.number as f64 * 0.618_033_988_749_895).fract();
        let mut due = comes + think.mul_f64(phase);
        let mut request = Vec::with_capacity(1_536);
        // Who opens a connection and asks for nothing is cut off by the gateway; no student does that.
        sleep_until(comes.max(due - ASKS_WITHIN)).await;
        let from = address_of(self.number);
        let mut connection = Connection::open(gateway, from).await.ok();
        while due < times.end {
            sleep_until(due).await;
            let action = self.kind.action(self.actor.chance());
            self.actor.next_turn();
            if !self.actor.write(action, &mut request) {
                record.borrow_mut().ran_out = true;
                return Ok(());
            }
            let began = Instant::now();
            if began >= times.end + Duration::from_secs(1) {
                // So far behind that these are not sent at all.
                let left = (times.end - due).as_secs_f64() / think.as_secs_f64();
                record.borrow_mut().give_up(self.kind, action, left.ceil() as u64);
                return Ok(());
            }
            // The gateway closes idle connections; every client has to look.
            let known = connection.take().filter(|known| !known.is_closed());
            let is_reopened = known.is_none();
            let mut open = match known {
                Some(known) => Some(known),
                None => Connection::open(gateway, from).await.ok(),
            };
            let sent = Instant::now();
            record.borrow_mut().send(self.kind, action, due, times);
            let answer = match &mut open {
                Some(open) => open.exchange(&request).await.ok(),
                None => None,
            };
            let happened = Happened {
                kind: self.kind,
                action,
                due,
                began,
                sent,
                done: Instant::now(),
                status: answer.map_or(0, |answer| answer.status),
                bytes: answer.map_or(0, |answer| answer.bytes),
                is_reopened,
            };
            record.borrow_mut().add_one(&happened, times)?;
            if answer.is_some_and(|answer| answer.is_kept) {
                connection = open;
            }
            due += think;
            if answer.is_none() {
                sleep(BROKEN).await;
            }
        }
        Ok(())
    }
}
