//! One message that carries a task. Whatever is to become of it is published and confirmed before it is acknowledged: a crash in
//! between doubles it, which the record of the task makes up for, and loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicRejectOptions};
use lapin::types::AMQPValue;
use lapin::{BasicProperties, Channel};
use tokio::sync::Mutex;

use crate::connection::{BusError, hand_over};
use crate::dead_letters::as_sent;
use crate::envelope::Envelope;
use crate::topology::{DEAD_EXCHANGE, Queue, wait_exchange};

/// Where messages are published to from this queue's channel.
pub struct Outlet {
    /// One at a time: lapin gives a message that came back to whichever confirm completes next.
    channel: Mutex<Channel>,
    queue: Queue,
}

impl Outlet {
    pub fn new(channel: Channel, queue: Queue) -> Self {
        Self {
            channel: Mutex::new(channel),
            queue,
        }
    }

    async fn publish(
        &self,
        exchange: &str,
        properties: BasicProperties,
        payload: &[u8],
    ) -> Result<(), BusError> {
        let channel = self.channel.lock().await;
        hand_over(&channel, exchange, &self.queue.name(), properties, payload).await
    }
}

/// A task on its way.
pub struct TaskMessage {
    message: Message,
    outlet: Arc<Outlet>,
    /// It is acknowledged: a copy of it waits.
    is_parked: AtomicBool,
}

impl TaskMessage {
    pub(super) fn new(message: Message, outlet: Arc<Outlet>) -> Self {
        Self {
            message,
            outlet,
            is_parked: AtomicBool::new(false),
        }
    }

    /// `None` when it is nothing of ours.
    pub fn envelope(&self) -> Option<Envelope> {
        Envelope::read(&self.message.properties)
    }

    pub fn payload(&self) -> &[u8] {
        &self.message.data
    }

    pub fn queue(&self) -> Queue {
        self.outlet.queue
    }

    /// Nothing more is to come of it.
    pub async fn done(&self) {
        if self.is_parked.load(Ordering::Acquire) {
            return;
        }
        // A lost acknowledgement means a broken channel; the broker delivers again and the record knows the task.
        if let Err(fault) = self.message.acker.ack(BasicAckOptions::default()).await {
            tracing::debug!(
                error = &fault as &dyn std::error::Error,
                "an acknowledgement was lost"
            );
        }
    }

    /// To another worker, at once.
    pub async fn give_back(&self) {
        if self.is_parked.load(Ordering::Acquire) {
            return;
        }
        let options = BasicRejectOptions { requeue: true };
        if let Err(fault) = self.message.acker.reject(options).await {
            tracing::debug!(error = &fault as &dyn std::error::Error, "a rejection was lost");
        }
    }

    /// It is delivered again after about this long: by its time to live, and the exchange to which it then goes.
    pub async fn come_again(&self, after: Duration) {
        let (exchange, stays) = wait_exchange(after);
        let properties =
            as_sent(&self.message.properties).with_expiration(stays.as_millis().to_string().as_str().into());
        self.hand_over(&exchange, properties).await;
    }

    /// While it is worked on for long: a copy waits instead, as the broker takes back what is not acknowledged for half an hour.
    pub async fn park(&self, after: Duration) {
        if self.is_parked.load(Ordering::Acquire) {
            return;
        }
        let (exchange, stays) = wait_exchange(after);
        let properties =
            as_sent(&self.message.properties).with_expiration(stays.as_millis().to_string().as_str().into());
        match self
            .outlet
            .publish(&exchange, properties, &self.message.data)
            .await
        {
            Ok(()) => {
                self.done().await;
                self.is_parked.store(true, Ordering::Release);
            }
            Err(fault) => tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "a long task is not parked"
            ),
        }
    }

    /// To the dead letters, with the reason upon it.
    pub async fn bury(&self, reason: &str, attempts: i32) {
        let properties = as_sent(&self.message.properties);
        let mut headers = properties.headers().clone().unwrap_or_default();
        headers.insert("x-reason".into(), AMQPValue::LongString(reason.into()));
        headers.insert("x-attempts".into(), AMQPValue::LongInt(attempts));
        self.hand_over(DEAD_EXCHANGE, properties.with_headers(headers))
            .await;
    }

    async fn hand_over(&self, exchange: &str, properties: BasicProperties) {
        match self
            .outlet
            .publish(exchange, properties, &self.message.data)
            .await
        {
            Ok(()) => self.done().await,
            Err(fault) => {
                tracing::warn!(
                    error = &fault as &dyn std::error::Error,
                    "a task stays in its queue for now"
                );
                self.give_back().await;
            }
        }
    }
}
