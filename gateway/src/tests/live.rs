//! Live push: who gets a socket, what comes on it, and when it ends.

use std::time::Duration;

use ::live::{Push, Tickets, push};
use access_token::{Granted, Revocation, RevocationKind, User};
use cache::fred::interfaces::PubsubInterface;
use cache::{Redis, RedisSettings};
use contracts::notification::v1::Notification;
use contracts::timestamp;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use test_support::{TestProxy, TestRedis, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::sync::CancellationToken;
use typed_id::{NotificationId, SessionId, UserId};

use super::backend::PATIENCE;
use super::edge::{Edge, Options};

/// A user with a session.
struct Person {
    id: UserId,
    session: SessionId,
}

impl Person {
    fn new(edge: &Edge) -> Self {
        let now = edge.clock.now();
        Self {
            id: UserId::new(now),
            session: SessionId::new(now),
        }
    }

    fn token(&self, edge: &Edge) -> String {
        edge.token_of(self.id, self.session, &[])
    }

    async fn socket(&self, edge: &Edge, query: &str) -> Socket {
        let offered = format!("bearer, {}", self.token(edge));
        let (mut socket, answer) = connect(edge, query, &[("sec-websocket-protocol", &offered)])
            .await
            .unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "bearer");
        assert_eq!(socket.next().await, Said::Frame(json!({"type": "ready"})));
        socket
    }
}

struct Socket(WebSocketStream<TcpStream>);

#[derive(Debug, PartialEq)]
enum Said {
    Frame(Value),
    Closed(u16, String),
}

impl Socket {
    async fn next(&mut self) -> Said {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.expect("nothing came");
            match message.expect("a close frame before the end").unwrap() {
                Message::Text(text) => return Said::Frame(serde_json::from_str(&text).unwrap()),
                Message::Close(Some(frame)) => {
                    return Said::Closed(frame.code.into(), frame.reason.as_str().to_owned());
                }
                _ => {}
            }
        }
    }

    /// The title of the next notification.
    async fn title(&mut self) -> String {
        match self.next().await {
            Said::Frame(frame) if frame["type"] == "notification" => {
                frame["title"].as_str().unwrap().to_owned()
            }
            other => panic!("{other:?} instead of a notification"),
        }
    }

    async fn say(&mut self, text: String) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn check_alive(&mut self) {
        self.say(json!({"type": "ping"}).to_string()).await;
        assert_eq!(self.next().await, Said::Frame(json!({"type": "pong"})));
    }
}

async fn connect(
    edge: &Edge,
    query: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Socket, Response), Error> {
    let stream = TcpStream::connect(edge.address).await.unwrap();
    connect_over(stream, edge, query, headers).await
}

async fn connect_over(
    stream: TcpStream,
    edge: &Edge,
    query: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Socket, Response), Error> {
    let url = format!("ws://{}/api/v1/live{query}", edge.address);
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (stream, answer) = client_async(request, stream).await?;
    Ok((Socket(stream), answer))
}

/// A handshake that is refused, as plain HTTP sees it.
async fn refused(edge: &Edge, query: &str, headers: &[(&str, &str)]) -> super::edge::Answer {
    let mut all = vec![
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    all.extend(headers);
    edge.get(&format!("/api/v1/live{query}"), &all).await
}

/// What the notification service does with Redis.
struct Source {
    push: Push,
    redis: Redis,
    stop: CancellationToken,
}

impl Source {
    fn new(edge: &Edge, settings: &RedisSettings) -> Self {
        let redis = Redis::connect(settings).unwrap();
        let (push, pusher) = push(redis.clone(), edge.clock.clone());
        let stop = CancellationToken::new();
        tokio::spawn(pusher.run(stop.clone()));
        Self { push, redis, stop }
    }

    /// Waits until so many gateways listen.
    async fn heard_by(&self, gateways: i64) {
        eventually(PATIENCE, || async {
            let channel = self.redis.key(&"sc:live:probe");
            let heard = self
                .redis
                .run(|client| async move { client.publish::<i64, _, _>(channel, "").await });
            (heard.await == Some(gateways)).then_some(())
        })
        .await;
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn settings_of(redis: &TestRedis) -> RedisSettings {
    RedisSettings {
        url: redis.url().into(),
        prefix: redis.prefix().into(),
    }
}

async fn edge_with(redis: &RedisSettings, settings: &'static [(&'static str, &'static str)]) -> Edge {
    Edge::start_with(Options {
        settings,
        redis: Some(redis.clone()),
        ..Options::default()
    })
    .await
}

/// A notification that was made so many seconds from now.
fn notification(edge: &Edge, second: i64) -> Notification {
    let at = edge.clock.now() + time::Duration::seconds(second);
    Notification {
        id: NotificationId::new(at).into(),
        kind: "enrollment.created".into(),
        title: format!("after {second} s"),
        body: "ğ".into(),
        read: false,
        created_at: Some(timestamp(at)),
        link: "/courses/1".into(),
    }
}

/// Commits it.
fn store(edge: &Edge, user: UserId, notification: &Notification) {
    edge.seen.inbox.lock().push((user.into(), notification.clone()));
}

/// The times for heads of requests and between them are none of a socket's.
#[tokio::test]
async fn a_socket_outlives_what_a_connection_without_requests_may() {
    let edge = Edge::start_with(Options {
        settings: &[
            ("SC_HTTP__HEADER_TIMEOUT_SECONDS", "1"),
            ("SC_HTTP__KEEP_ALIVE_SECONDS", "1"),
        ],
        ..Options::default()
    })
    .await;
    let mut socket = Person::new(&edge).socket(&edge, "").await;
    let mut tick = tokio::time::interval(Duration::from_millis(600));
    for _ in 0..6 {
        tick.tick().await;
        socket.check_alive().await;
    }
}

#[tokio::test]
async fn a_token_opens_a_socket_that_takes_no_place_of_requests() {
    let edge = Edge::start_with(Options {
        settings: &[("SC_HTTP__MAX_IN_FLIGHT", "1"), ("SC_LIVE__MAX_SOCKETS", "1")],
        ..Options::default()
    })
    .await;
    let ada = Person::new(&edge);
    refused(&edge, "", &[])
        .await
        .check_problem(401, "unauthenticated");
    for offered in ["bearer", "bearer, ", "bearer, nonsense"] {
        let answer = refused(&edge, "", &[("sec-websocket-protocol", offered)]).await;
        assert_eq!(answer.status, 401, "{offered}");
    }
    let offered = format!("bearer, {}", ada.token(&edge));
    let offered = [("sec-websocket-protocol", offered.as_str())];
    edge.get("/api/v1/live", &offered)
        .await
        .check_problem(400, "malformed_request");
    for query in ["?after=nonsense", "?since=1"] {
        refused(&edge, query, &offered)
            .await
            .check_problem(400, "malformed_request");
    }
    refused(&edge, "?after=7d444840-9dc0-41d1-b245-5ffdce74fad2", &offered)
        .await
        .check_problem(422, "validation_failed");

    let mut socket = ada.socket(&edge, "").await;
    socket.say("nonsense".into()).await;
    socket.say("{}".into()).await;
    socket.check_alive().await;
    assert_eq!(edge.get("/api/v1/courses", &[]).await.status, 200);
    refused(&edge, "", &offered)
        .await
        .check_problem(503, "overloaded");
    drop(socket);
    eventually(PATIENCE, || async {
        connect(&edge, "", &[("sec-websocket-protocol", offered[0].1)])
            .await
            .ok()
    })
    .await;
}

#[tokio::test]
async fn a_ticket_opens_one_socket_while_its_session_lives() {
    let test = TestRedis::new();
    let edge = edge_with(&settings_of(&test), &[]).await;
    let tickets = Tickets::new(Redis::connect(&settings_of(&test)).unwrap());
    let now = edge.clock.now();
    let user = User {
        id: UserId::new(now),
        session_id: SessionId::new(now),
        impersonator: None,
        token_id: "t".into(),
        key_id: String::new(),
        roles: vec![],
        permissions: Granted::default(),
        issued_at: now,
        expires_at: now + time::Duration::minutes(15),
    };
    let issue = || eventually(PATIENCE, || async { tickets.issue(&user).await.ok() });
    let once = format!("?ticket={}", issue().await.text);
    let (mut socket, answer) = connect(&edge, &once, &[]).await.unwrap();
    assert!(answer.headers().get("sec-websocket-protocol").is_none());
    assert_eq!(socket.next().await, Said::Frame(json!({"type": "ready"})));
    refused(&edge, &once, &[])
        .await
        .check_problem(401, "invalid_token");

    let late = format!("?ticket={}", issue().await.text);
    edge.revocations.apply(revocation(
        &edge,
        RevocationKind::Session,
        user.session_id.to_string(),
    ));
    refused(&edge, &late, &[])
        .await
        .check_problem(401, "invalid_token");
    assert_eq!(socket.next().await, Said::Closed(1008, "session ended".into()));

    let without = Edge::start().await;
    refused(&without, "?ticket=lt_x", &[])
        .await
        .check_problem(503, "unavailable");
}

#[tokio::test]
async fn pages_of_foreign_origins_get_no_socket() {
    let edge = Edge::start_with(Options {
        settings: &[("SC_HTTP__CORS_ORIGINS", "https://app.example.edu")],
        ..Options::default()
    })
    .await;
    let offered = format!("bearer, {}", Person::new(&edge).token(&edge));
    let from = |origin| [("sec-websocket-protocol", offered.as_str()), ("origin", origin)];
    refused(&edge, "", &from("https://evil.example"))
        .await
        .check_problem(403, "permission_denied");
    let own = format!("http://{}", edge.address);
    for origin in ["https://app.example.edu", &own] {
        assert!(connect(&edge, "", &from(origin)).await.is_ok(), "{origin}");
    }
}

#[tokio::test]
async fn what_is_told_comes_on_all_sockets_of_the_user_at_all_gateways() {
    let test = TestRedis::new();
    let settings = settings_of(&test);
    let (one, two) = (edge_with(&settings, &[]).await, edge_with(&settings, &[]).await);
    let source = Source::new(&one, &settings);
    source.heard_by(2).await;
    let (ada, can) = (Person::new(&one), Person::new(&one));
    let mut sockets = [
        ada.socket(&one, "").await,
        ada.socket(&one, "").await,
        ada.socket(&two, "").await,
    ];
    let mut other = can.socket(&one, "").await;
    let told = notification(&one, 1);
    source.push.tell(ada.id, told.clone());
    for socket in &mut sockets {
        let expected = json!({
            "type": "notification", "id": told.id, "kind": "enrollment.created", "title": "after 1 s", "body": "ğ",
            "read": false, "created_at": "2027-01-15T08:00:01+00:00", "link": "/courses/1",
        });
        assert_eq!(socket.next().await, Said::Frame(expected));
    }
    source.push.tell(can.id, notification(&one, 2));
    assert_eq!(other.title().await, "after 2 s");
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed_and_then_what_comes_each_once() {
    let test = TestRedis::new();
    let settings = settings_of(&test);
    let edge = edge_with(&settings, &[]).await;
    let source = Source::new(&edge, &settings);
    source.heard_by(1).await;
    let ada = Person::new(&edge);
    let all: Vec<Notification> = (1..=7).map(|number| notification(&edge, number * 10)).collect();
    all[..6].iter().for_each(|one| store(&edge, ada.id, one));
    store(&edge, UserId::new(edge.clock.now()), &notification(&edge, 35));
    let mut socket = ada.socket(&edge, &format!("?after={}", all[1].id)).await;
    // Told live as well, as it was committed in that moment.
    source.push.tell(ada.id, all[5].clone());
    for second in [30, 40, 50, 60] {
        assert_eq!(socket.title().await, format!("after {second} s"));
    }
    source.push.tell(ada.id, all[6].clone());
    assert_eq!(socket.title().await, "after 70 s");
}

#[tokio::test]
async fn what_was_told_while_redis_was_cut_off_comes_when_it_is_back() {
    let test = TestRedis::new();
    let direct = settings_of(&test);
    let proxy = TestProxy::before(test.url(), 6_379).await;
    let through = RedisSettings {
        url: proxy.url(test.url()).into(),
        ..direct.clone()
    };
    let edge = edge_with(&through, &[]).await;
    let source = Source::new(&edge, &direct);
    source.heard_by(1).await;
    let ada = Person::new(&edge);
    let mut socket = ada.socket(&edge, "").await;
    let tell = |second| {
        let told = notification(&edge, second);
        store(&edge, ada.id, &told);
        source.push.tell(ada.id, told);
    };
    tell(1);
    assert_eq!(socket.title().await, "after 1 s");
    proxy.stop();
    source.heard_by(0).await;
    tell(2);
    tell(3);
    socket.check_alive().await;
    proxy.start();
    assert_eq!(socket.title().await, "after 2 s");
    assert_eq!(socket.title().await, "after 3 s");
    source.heard_by(1).await;
    tell(4);
    assert_eq!(socket.title().await, "after 4 s");
}

#[tokio::test]
async fn what_could_not_be_published_comes_when_its_source_reaches_redis_again() {
    let test = TestRedis::new();
    let direct = settings_of(&test);
    let edge = edge_with(&direct, &[]).await;
    let proxy = TestProxy::before(test.url(), 6_379).await;
    let through = RedisSettings {
        url: proxy.url(test.url()).into(),
        ..direct.clone()
    };
    let source = Source::new(&edge, &through);
    source.heard_by(1).await;
    let ada = Person::new(&edge);
    let mut socket = ada.socket(&edge, "").await;
    proxy.stop();
    eventually(PATIENCE, || async { (!source.redis.ping().await).then_some(()) }).await;
    let told = notification(&edge, 1);
    store(&edge, ada.id, &told);
    source.push.tell(ada.id, told);
    proxy.start();
    assert_eq!(socket.title().await, "after 1 s");
}

#[tokio::test]
async fn who_does_not_read_is_closed_and_told_to_come_back() {
    let test = TestRedis::new();
    let settings = settings_of(&test);
    let edge = edge_with(&settings, &[]).await;
    let source = Source::new(&edge, &settings);
    source.heard_by(1).await;
    let ada = Person::new(&edge);
    let stream = TcpSocket::new_v4().unwrap();
    stream.set_recv_buffer_size(4 << 10).unwrap();
    let stream = stream.connect(edge.address).await.unwrap();
    let offered = format!("bearer, {}", ada.token(&edge));
    let (mut socket, _) = connect_over(stream, &edge, "", &[("sec-websocket-protocol", &offered)])
        .await
        .unwrap();
    let mut reader = ada.socket(&edge, "").await;
    assert_eq!(socket.next().await, Said::Frame(json!({"type": "ready"})));
    // More than the queue and the buffers of the system hold.
    for second in 1..=150 {
        let mut told = notification(&edge, second);
        told.body = "x".repeat(200 << 10);
        source.push.tell(ada.id, told);
        assert_eq!(
            reader.title().await,
            format!("after {second} s"),
            "others are not held up"
        );
    }
    let mut expected = 1;
    loop {
        match socket.next().await {
            Said::Frame(frame) => assert_eq!(frame["title"], format!("after {expected} s")),
            Said::Closed(code, _) => {
                assert_eq!(code, 1013);
                break;
            }
        }
        expected += 1;
    }
    assert!(expected < 150);
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_socket() {
    let edge = Edge::start().await;
    let mut socket = Person::new(&edge).socket(&edge, "").await;
    socket.say("x".repeat(64 << 10)).await;
    socket.check_alive().await;
    socket.say("x".repeat((64 << 10) + 1)).await;
    assert_eq!(
        socket.next().await,
        Said::Closed(1009, "message too large".into())
    );
}

fn revocation(edge: &Edge, kind: RevocationKind, subject: String) -> Revocation {
    let now = edge.clock.now();
    Revocation {
        kind,
        subject,
        revoked_at: now + time::Duration::microseconds(1),
        expires_at: now + time::Duration::minutes(15),
    }
}

#[tokio::test]
async fn a_socket_ends_with_its_session_its_user_and_its_token() {
    let edge = Edge::start().await;
    let (ada, can, ece) = (Person::new(&edge), Person::new(&edge), Person::new(&edge));
    let (mut of_session, mut of_user, mut stays) = (
        ada.socket(&edge, "").await,
        can.socket(&edge, "").await,
        ece.socket(&edge, "").await,
    );
    edge.revocations.apply(revocation(
        &edge,
        RevocationKind::Session,
        ada.session.to_string(),
    ));
    edge.revocations
        .apply(revocation(&edge, RevocationKind::User, can.id.to_string()));
    let ended = Said::Closed(1008, "session ended".into());
    assert_eq!(
        (of_session.next().await, of_user.next().await),
        (ended, Said::Closed(1008, "session ended".into()))
    );
    stays.check_alive().await;
    edge.clock.advance(Duration::from_mins(15));
    assert_eq!(stays.next().await, Said::Closed(1008, "token expired".into()));
}

#[tokio::test]
async fn the_oldest_of_too_many_sockets_of_a_user_goes() {
    let edge = Edge::start().await;
    let (ada, can) = (Person::new(&edge), Person::new(&edge));
    let mut other = can.socket(&edge, "").await;
    let mut sockets = Vec::new();
    for _ in 0..11 {
        sockets.push(ada.socket(&edge, "").await);
    }
    assert_eq!(
        sockets[0].next().await,
        Said::Closed(1008, "too many sockets".into())
    );
    for socket in sockets[1..].iter_mut().chain([&mut other]) {
        socket.check_alive().await;
    }
}

/// As a machine that went away without a word: it takes everything and answers nothing.
#[tokio::test]
async fn a_silent_client_is_pinged_and_then_closed() {
    let edge = Edge::start_with(Options {
        settings: &[("SC_LIVE__PING_SECONDS", "1"), ("SC_LIVE__SILENCE_SECONDS", "5")],
        ..Options::default()
    })
    .await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let head = format!(
        "GET /api/v1/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: bearer, {}\r\n\r\n",
        Person::new(&edge).token(&edge)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut all))
        .await
        .unwrap()
        .unwrap();
    let frames = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let frames = &all[frames..];
    let (ping, close) = ([0x89, 0], [0x88]);
    let pinged = frames.windows(2).position(|bytes| bytes == ping).unwrap();
    assert!(frames[pinged..].windows(1).any(|bytes| bytes == close));
    assert!(String::from_utf8_lossy(frames).contains("nothing heard"));
}

#[tokio::test]
async fn sockets_are_told_when_the_process_stops_and_it_waits_for_them() {
    let mut edge = Edge::start().await;
    let mut socket = Person::new(&edge).socket(&edge, "").await;
    edge.stop.cancel();
    assert_eq!(socket.next().await, Said::Closed(1001, "restarting".into()));
    timeout(PATIENCE, &mut edge.served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
