//! The life of one socket.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use access_token::User;
use contracts::notification::v1::ListNotificationsAfterResponse;
use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};
use typed_id::NotificationId;

use super::allowance::Allowance;
use super::hub::{Hub, Item, Registered, Socket, Why, frame};

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// For the client to take the last frame and to leave.
const GOODBYE: Duration = Duration::from_secs(5);
/// Ids that are known to be sent: more than wait in a queue, so that what was asked for and what came live are told apart.
const REMEMBERED: usize = 256;

/// Serves a socket to its end.
pub async fn run(
    hub: Arc<Hub>,
    seat: OwnedSemaphorePermit,
    mut stream: Stream,
    user: Arc<User>,
    after: Option<NotificationId>,
) {
    let registered = hub.register(&user, after);
    let why = serve(&hub, &mut stream, registered, &user, after).await;
    metrics::counter!("live_closed_total", "why" => why.as_str()).increment(1);
    tracing::debug!(user = %user.id, why = why.as_str(), "a live socket was closed");
    let _ = tokio::time::timeout(GOODBYE, part(&mut stream, why)).await;
    drop(seat);
}

async fn serve(
    hub: &Arc<Hub>,
    stream: &mut Stream,
    mut registered: Registered,
    user: &User,
    after: Option<NotificationId>,
) -> Why {
    let Registered {
        socket, queue, end, ..
    } = &mut registered;
    let mut sent = Sent(after.into_iter().collect());
    let mut allowance = Allowance::new();
    let ready = Message::Text(Utf8Bytes::from_static(r#"{"type":"ready"}"#));
    if let Err(why) = send(stream, end, ready).await {
        return why;
    }
    // Boxed and rarely there, as the future of a socket is paid for ten thousand times.
    let mut missed: Option<Missed> = None;
    // Who resumes asks at once; what many missed together is asked for spread out.
    let mut spreads = after.is_none();
    loop {
        let done = tokio::select! {
            biased;
            why = &mut *end => return why.unwrap_or(Why::Left),
            came = stream.next() => if allowance.take() {
                take(stream, end, hub, socket, came).await
            } else {
                Err(Why::Flooding)
            },
            // What comes live waits until that is sent: frames are in order, and none comes twice.
            Some(page) = next_page(&mut missed), if missed.is_some() => {
                missed = None;
                let last = page.notifications.last().and_then(|last| last.id.parse().ok());
                let done = send_page(stream, end, &mut sent, &page).await;
                if let Some(last) = last.filter(|_| page.has_more) {
                    missed = Some(Arc::clone(hub).missed(user.id, last, false).boxed());
                }
                done
            }
            item = queue.recv(), if missed.is_none() => match item {
                None => return Why::Left,
                Some(Item::Ping) => send(stream, end, Message::Ping(Bytes::new())).await,
                Some(Item::Told(id, text)) => send_once(stream, end, &mut sent, id, text).await,
                Some(Item::Missed(since)) => {
                    missed = Some(Arc::clone(hub).missed(user.id, since, spreads).boxed());
                    spreads = true;
                    Ok(())
                }
            },
        };
        if let Err(why) = done {
            return why;
        }
    }
}

type Missed = BoxFuture<'static, ListNotificationsAfterResponse>;

async fn next_page(missed: &mut Option<Missed>) -> Option<ListNotificationsAfterResponse> {
    Some(missed.as_mut()?.await)
}

/// The ids that were sent last.
struct Sent(VecDeque<NotificationId>);

impl Sent {
    /// False when it was sent before.
    fn enter(&mut self, id: NotificationId) -> bool {
        if self.0.contains(&id) {
            return false;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(id);
        true
    }
}

async fn send_page(
    stream: &mut Stream,
    end: &mut oneshot::Receiver<Why>,
    sent: &mut Sent,
    page: &ListNotificationsAfterResponse,
) -> Result<(), Why> {
    for notification in &page.notifications {
        if let (Ok(id), Some(text)) = (notification.id.parse(), frame(notification)) {
            send_once(stream, end, sent, id, text).await?;
        }
    }
    Ok(())
}

async fn send_once(
    stream: &mut Stream,
    end: &mut oneshot::Receiver<Why>,
    sent: &mut Sent,
    id: NotificationId,
    text: Utf8Bytes,
) -> Result<(), Why> {
    if !sent.enter(id) {
        return Ok(());
    }
    send(stream, end, Message::Text(text)).await?;
    metrics::counter!("live_frames_total").increment(1);
    Ok(())
}

/// Sends, unless the socket has to end first, which a client that does not read would hold up for ever.
async fn send(stream: &mut Stream, end: &mut oneshot::Receiver<Why>, message: Message) -> Result<(), Why> {
    tokio::select! {
        biased;
        why = end => Err(why.unwrap_or(Why::Left)),
        sent = stream.send(message) => sent.map_err(|_| Why::Left),
    }
}

/// What the client says; pings and pongs of the protocol are answered by the library.
async fn take(
    stream: &mut Stream,
    end: &mut oneshot::Receiver<Why>,
    hub: &Hub,
    socket: &Socket,
    came: Option<Result<Message, Error>>,
) -> Result<(), Why> {
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow)]
        r#type: Option<&'a str>,
    }
    match came {
        Some(Ok(message)) => {
            socket.heard(hub);
            let Message::Text(text) = message else {
                return Ok(());
            };
            let said = serde_json::from_str::<Said<'_>>(&text)
                .ok()
                .and_then(|said| said.r#type);
            if said != Some("ping") {
                return Ok(());
            }
            let pong = Message::Text(Utf8Bytes::from_static(r#"{"type":"pong"}"#));
            send(stream, end, pong).await
        }
        Some(Err(Error::Capacity(_))) => Err(Why::TooLarge),
        Some(Err(Error::Protocol(fault))) => {
            tracing::debug!(
                error = &fault as &dyn std::error::Error,
                "a client broke the protocol"
            );
            Err(Why::Broken)
        }
        Some(Err(_)) | None => Err(Why::Left),
    }
}

/// Says why, and reads on until the client has left: closing over unread bytes resets the connection, and the reset takes the last
/// frame away from the client before it was read.
async fn part(stream: &mut Stream, why: Why) {
    if let Some((code, reason)) = why.close() {
        let reason = Utf8Bytes::from_static(reason);
        if stream
            .send(Message::Close(Some(CloseFrame { code, reason })))
            .await
            .is_err()
        {
            return;
        }
    }
    let connection = stream.get_mut();
    let mut nobody = [0; 1_024];
    if connection.shutdown().await.is_ok() {
        while matches!(connection.read(&mut nobody).await, Ok(1..)) {}
    }
}
