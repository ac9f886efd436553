//! The queues of tasks: three lanes for each service that has tasks, and waiting rooms that all of them share (docs/adr/0013).

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::{Channel, ExchangeKind};

use super::{Queue, bind, dead_letters_to, declare_queue, exchange, quorum};

/// The direct exchange of tasks; its keys are the names of their queues.
pub const TASK_EXCHANGE: &str = "sc.tasks";

/// Services that do tasks. A service enqueues its own alone; what others want done they tell by an event.
pub const TASK_OWNERS: &[&str] = &["video-progress"];

/// The operator's tool sees the queues of all.
const OPERATOR: &str = "scctl";

/// How urgent a task is: a queue with workers of its own, so that what is urgent never stands behind what is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    High,
    Default,
    Low,
}

impl Lane {
    pub const ALL: [Self; 3] = [Self::High, Self::Default, Self::Low];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Default => "default",
            Self::Low => "low",
        }
    }

    const fn topic(self) -> &'static str {
        match self {
            Self::High => "tasks.high",
            Self::Default => "tasks.default",
            Self::Low => "tasks.low",
        }
    }
}

/// The queue of a lane; `None` when the service is no owner. `service` with hyphens or underscores.
pub fn task_queue(service: &str, lane: Lane) -> Option<Queue> {
    TASK_OWNERS
        .iter()
        .find(|owner| is(owner, service))
        .map(|owner| queue(owner, lane))
}

/// All queues of tasks.
pub fn task_queues() -> impl Iterator<Item = Queue> {
    TASK_OWNERS
        .iter()
        .flat_map(|owner| Lane::ALL.map(|lane| queue(owner, lane)))
}

fn queue(owner: &'static str, lane: Lane) -> Queue {
    Queue {
        service: owner,
        topic: lane.topic(),
        types: &[],
    }
}

fn is(owner: &str, service: &str) -> bool {
    owner == service.replace('_', "-")
}

/// Waiting rooms by the seconds of the shortest wait in them. A message has its own time to live, and a queue lets go of messages in
/// their order alone: as one room holds waits that differ by less than a factor of two, none is kept much too long.
const ROOMS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

fn room_name(seconds: u64) -> String {
    format!("sc.wait.{seconds}")
}

/// The exchange of the room for this wait, and how long a message stays there; a longer wait takes several turns.
pub(crate) fn wait_exchange(wait: Duration) -> (String, Duration) {
    let longest = Duration::from_secs(ROOMS[ROOMS.len() - 1]);
    let wait = wait.clamp(Duration::from_millis(1), longest);
    let room = ROOMS
        .iter()
        .rev()
        .find(|seconds| Duration::from_secs(**seconds) <= wait)
        .unwrap_or(&ROOMS[0]);
    (room_name(*room), wait)
}

/// Declares the queues of `service`, where it has tasks.
pub(super) async fn declare(channel: &Channel, service: &str) -> Result<(), lapin::Error> {
    let mut queues = task_queues()
        .filter(|queue| service == OPERATOR || is(queue.service, service))
        .peekable();
    if queues.peek().is_none() {
        return Ok(());
    }
    exchange(channel, TASK_EXCHANGE, ExchangeKind::Direct).await?;
    for seconds in ROOMS {
        let name = room_name(seconds);
        // By way of an exchange, as a message then keeps the key of its queue, and goes back by it.
        exchange(channel, &name, ExchangeKind::Fanout).await?;
        let mut arguments = quorum();
        dead_letters_to(&mut arguments, TASK_EXCHANGE);
        channel
            .queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), arguments)
            .await?;
        bind(channel, &name, &name, "").await?;
    }
    for queue in queues {
        declare_queue(channel, &queue).await?;
        bind(channel, &queue.name(), TASK_EXCHANGE, &queue.name()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_goes_to_the_room_of_its_size() {
        let room = |millis| wait_exchange(Duration::from_millis(millis));
        for (millis, name, stays) in [
            (0, "sc.wait.1", 1),
            (900, "sc.wait.1", 900),
            (1_999, "sc.wait.1", 1_999),
            (2_000, "sc.wait.2", 2_000),
            (6_500, "sc.wait.4", 6_500),
            (60_000, "sc.wait.32", 60_000),
            (3_600_000, "sc.wait.512", 512_000),
        ] {
            assert_eq!(room(millis), (name.to_owned(), Duration::from_millis(stays)));
        }
    }

    #[test]
    fn a_queue_is_its_owners() {
        let name = |service| task_queue(service, Lane::High).map(|queue| queue.name());
        assert_eq!(
            name("video_progress").as_deref(),
            Some("video-progress.tasks.high")
        );
        assert_eq!(
            name("video-progress").as_deref(),
            Some("video-progress.tasks.high")
        );
        assert_eq!(name("nobody"), None);
    }
}
