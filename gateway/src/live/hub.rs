//! All sockets of this gateway: who has which, what they are told, and which of them have to go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::live::{Feed, News, Untaken};
use access_token::{Revocations, User};
use clock::Clock;
use contracts::notification::v1::rpc::ListNotificationsAfter;
use contracts::notification::v1::{
    ListNotificationsAfterRequest, ListNotificationsAfterResponse, Notification,
};
use dashmap::DashMap;
use parking_lot::Mutex;
use rand::Rng;
use rpc_client::RpcClient;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use typed_id::uuid::Uuid;
use typed_id::{NotificationId, UserId};

use crate::config::LiveSettings;

/// What may wait for a socket. Whoever reads slower is closed and comes back with `after`.
const WAITING: usize = 64;
/// How often sockets are looked at: a revocation is known after 2 s at the latest, and the socket gone within 5.
const ROUND: Duration = Duration::from_secs(2);
/// Sockets that ask for what they missed at a time, however many missed something.
const ASKING: usize = 16;
/// Ids are made before their commit, and by several clocks: what is missed is looked for from this long before.
const OVERLAP: time::Duration = time::Duration::seconds(5);
/// As much for who resumes: what was committed out of order by the moment of `after` may come, or come once more.
const RESUMED: time::Duration = time::Duration::seconds(2);
/// Spreads the questions of sockets that missed something together.
const SPREAD: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(1);

/// Why a socket was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The client left.
    Left,
    /// The client does not speak WebSocket.
    Broken,
    TooLarge,
    TooSlow,
    /// The client says more than it can have to say.
    Flooding,
    Silent,
    Expired,
    Revoked,
    /// The user opened one more than they may have.
    Replaced,
    Stopping,
}

impl Why {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::Flooding => "flooding",
            Self::Silent => "silent",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
            Self::Stopping => "stopping",
        }
    }

    /// What the client is told; `None` when it knows.
    pub fn close(self) -> Option<(CloseCode, &'static str)> {
        match self {
            Self::Left => None,
            Self::Broken => Some((CloseCode::Protocol, "not WebSocket")),
            Self::TooLarge => Some((CloseCode::Size, "message too large")),
            Self::TooSlow => Some((CloseCode::Again, "too slow, come back with after")),
            Self::Flooding => Some((CloseCode::Policy, "too many messages")),
            Self::Silent => Some((CloseCode::Again, "nothing heard")),
            Self::Expired => Some((CloseCode::Policy, "token expired")),
            Self::Revoked => Some((CloseCode::Policy, "session ended")),
            Self::Replaced => Some((CloseCode::Policy, "too many sockets")),
            Self::Stopping => Some((CloseCode::Away, "restarting")),
        }
    }
}

/// What waits for a socket.
pub enum Item {
    Told(NotificationId, Utf8Bytes),
    /// Something after this id may have been missed.
    Missed(Uuid),
    Ping,
}

/// A socket as the others see it.
pub struct Socket {
    number: u64,
    user: Arc<User>,
    /// What was made before is not for it, or was asked for when it resumed.
    from: OffsetDateTime,
    queue: mpsc::Sender<Item>,
    end: Mutex<Option<oneshot::Sender<Why>>>,
    /// Milliseconds since the hub began.
    heard: AtomicU64,
    pinged: AtomicU64,
}

impl Socket {
    fn put(&self, item: Item) {
        // Of a socket that has ended nobody takes anything.
        if let Err(mpsc::error::TrySendError::Full(item)) = self.queue.try_send(item)
            && !matches!(item, Item::Ping)
        {
            self.end(Why::TooSlow);
        }
    }

    fn end(&self, why: Why) {
        if let Some(end) = self.end.lock().take() {
            let _ = end.send(why);
        }
    }

    /// That something came in just now.
    pub fn heard(&self, hub: &Hub) {
        self.heard.store(hub.millis(), Ordering::Relaxed);
    }
}

/// A socket's own side of its [`Socket`]. Dropping it takes the socket out of the hub.
pub struct Registered {
    pub socket: Arc<Socket>,
    pub queue: mpsc::Receiver<Item>,
    pub end: oneshot::Receiver<Why>,
    hub: Arc<Hub>,
}

pub struct Hub {
    sockets: DashMap<UserId, Vec<Arc<Socket>>>,
    pub tasks: TaskTracker,
    seats: Arc<Semaphore>,
    max_per_user: usize,
    ping: u64,
    silence: u64,
    next: AtomicU64,
    began: Instant,
    stopping: CancellationToken,
    clock: Clock,
    revocations: Revocations,
    notification: RpcClient,
    asking: Semaphore,
}

impl Hub {
    pub fn new(
        settings: &LiveSettings,
        clock: Clock,
        revocations: Revocations,
        notification: RpcClient,
    ) -> Arc<Self> {
        Arc::new(Self {
            sockets: DashMap::new(),
            tasks: TaskTracker::new(),
            seats: Arc::new(Semaphore::new(settings.max_sockets)),
            max_per_user: settings.max_sockets_per_user,
            ping: settings.ping_seconds * 1_000,
            silence: settings.silence_seconds * 1_000,
            next: AtomicU64::new(0),
            began: Instant::now(),
            stopping: CancellationToken::new(),
            clock,
            revocations,
            notification,
            asking: Semaphore::new(ASKING),
        })
    }

    /// A place for one more socket; `None` when there is none, or when the process stops.
    pub fn seat(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.seats)
            .try_acquire_owned()
            .ok()
            .filter(|_| !self.stopping.is_cancelled())
    }

    /// Whether the user's token, and with it all that was opened with it, is over.
    pub fn is_over(&self, user: &User) -> Option<Why> {
        if user.expires_at <= self.clock.now() {
            Some(Why::Expired)
        } else if self.revocations.concern_user(user) {
            Some(Why::Revoked)
        } else {
            None
        }
    }

    /// From here on the socket is told what happens.
    pub fn register(self: &Arc<Self>, user: &Arc<User>, after: Option<NotificationId>) -> Registered {
        let (sender, queue) = mpsc::channel(WAITING);
        let (ender, end) = oneshot::channel();
        let now = self.millis();
        let resumed = after
            .and_then(|id| typed_id::made_at(id.0))
            .map(|made_at| made_at - RESUMED);
        let opened_at = self.clock.now();
        let socket = Arc::new(Socket {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            user: Arc::clone(user),
            from: resumed.map_or(opened_at, |resumed| resumed.max(opened_at)),
            queue: sender,
            end: Mutex::new(Some(ender)),
            heard: AtomicU64::new(now),
            pinged: AtomicU64::new(now),
        });
        if let Some(resumed) = resumed {
            socket.put(Item::Missed(typed_id::least_uuid(resumed)));
        }
        let mut own = self.sockets.entry(user.id).or_default();
        own.push(Arc::clone(&socket));
        if own.len() > self.max_per_user {
            own.remove(0).end(Why::Replaced);
        }
        drop(own);
        metrics::gauge!("live_sockets").increment(1.0);
        if self.stopping.is_cancelled() {
            socket.end(Why::Stopping);
        }
        Registered {
            socket,
            queue,
            end,
            hub: Arc::clone(self),
        }
    }

    /// Hears what happens, until `stop`.
    pub async fn follow(self: Arc<Self>, mut feed: Feed, stop: CancellationToken) {
        loop {
            let news = tokio::select! {
                () = stop.cancelled() => return,
                news = feed.next() => news,
            };
            match news {
                News::Told { user, notification } => self.tell(user, &notification),
                News::Missed { since } => self.each(|socket| {
                    let since = since.max(socket.from) - OVERLAP;
                    socket.put(Item::Missed(typed_id::least_uuid(since)));
                }),
            }
        }
    }

    fn tell(&self, user: UserId, notification: &Untaken) {
        let Some(own) = self.sockets.get(&user) else {
            return;
        };
        let read = notification.take().ok().and_then(|notification| {
            let id = notification.id.parse().ok()?;
            Some((id, frame(&notification)?))
        });
        let Some((id, text)) = read else {
            tracing::warn!("a notification from the feed cannot be read");
            return;
        };
        for socket in own.iter() {
            socket.put(Item::Told(id, text.clone()));
        }
    }

    /// Looks at all sockets again and again, until `stop`: one task, and no timer for each.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut round = interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = round.tick() => {}
            }
            let now = self.millis();
            self.each(|socket| {
                let since = |moment: &AtomicU64| now.saturating_sub(moment.load(Ordering::Relaxed));
                if let Some(why) = self.is_over(&socket.user) {
                    socket.end(why);
                } else if since(&socket.heard) >= self.silence {
                    socket.end(Why::Silent);
                } else if since(&socket.pinged) >= self.ping {
                    socket.pinged.store(now, Ordering::Relaxed);
                    socket.put(Item::Ping);
                }
            });
        }
    }

    /// Closes all sockets, and waits until they are.
    pub async fn close(&self) {
        self.stopping.cancel();
        self.each(|socket| socket.end(Why::Stopping));
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A page of what the user was told after an id. Goes on asking until there is an answer.
    pub async fn missed(
        self: Arc<Self>,
        user: UserId,
        after: Uuid,
        spreads: bool,
    ) -> ListNotificationsAfterResponse {
        if spreads {
            sleep(spread()).await;
        }
        loop {
            let request = ListNotificationsAfterRequest {
                user_id: user.into(),
                after_id: after.to_string(),
            };
            let turn = self.asking.acquire().await;
            let answer = self
                .notification
                .call_as_service::<ListNotificationsAfter>(request)
                .await;
            drop(turn);
            match answer {
                Ok(answer) => return answer.into_inner(),
                Err(status) => {
                    tracing::debug!(
                        error = &status as &dyn std::error::Error,
                        "what was missed is asked for again"
                    );
                }
            }
            sleep(AGAIN + spread()).await;
        }
    }

    fn each(&self, does: impl Fn(&Socket)) {
        for own in &self.sockets {
            own.iter().for_each(|socket| does(socket));
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn spread() -> Duration {
    rand::rng().random_range(Duration::ZERO..SPREAD)
}

impl Drop for Registered {
    fn drop(&mut self) {
        metrics::gauge!("live_sockets").decrement(1.0);
        let (number, id) = (self.socket.number, self.socket.user.id);
        self.hub.sockets.remove_if_mut(&id, |_, own| {
            own.retain(|socket| socket.number != number);
            own.is_empty()
        });
    }
}

/// `{"type": "notification", ...}`.
pub fn frame(notification: &Notification) -> Option<Utf8Bytes> {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        #[serde(flatten)]
        notification: &'a Notification,
    }
    let frame = Frame {
        r#type: "notification",
        notification,
    };
    serde_json::to_string(&frame).ok().map(Utf8Bytes::from)
}
