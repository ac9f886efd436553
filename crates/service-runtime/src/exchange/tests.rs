//! Both halves, over real connections.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use contracts::Rpc;
use contracts::auth::v1::rpc::{GetJwks, Register};
use futures::future::join_all;
use http::HeaderMap;
use request_context::RequestContext;
use rpc_client::{RpcClient, RpcSettings};
use test_support::{TestProxy, eventually};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, service::Routes};

use super::*;

const SOON: Duration = Duration::from_secs(10);

/// A server whose method says what it was asked.
#[derive(Clone, Default)]
struct Echo {
    shared: Arc<EchoState>,
}

#[derive(Default)]
struct EchoState {
    /// Calls that came with a context, as those of a stream do, and others.
    together: AtomicUsize,
    alone: AtomicUsize,
    under_way: AtomicUsize,
    release: Notify,
}

struct Counted(Arc<EchoState>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let context = request.extensions().get::<RequestContext>().cloned();
            let by = match &context {
                Some(_) => &shared.together,
                None => &shared.alone,
            };
            by.fetch_add(1, Ordering::SeqCst);
            shared.under_way.fetch_add(1, Ordering::SeqCst);
            let _counted = Counted(Arc::clone(&shared));
            let body = request.into_body().collect().await.unwrap().to_bytes();
            match &body[PREFIX..] {
                b"hold" => shared.release.notified().await,
                b"panic" => panic!("as asked"),
                b"refuse" => return Ok(Status::from(Problem::new(&codes::NOT_FOUND)).into_http()),
                b"huge" => {
                    let mut frame = vec![0; PREFIX + MAX_MESSAGE_BYTES + 1];
                    frame[0] = 0;
                    return Ok(Response::new(Body::new(Full::new(frame.into()))));
                }
                _ => {}
            }
            let trailers = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
            let body = Full::new(body).with_trailers(ready(Some(Ok(trailers))));
            let mut response = Response::new(Body::new(body));
            if let Some(id) = context.and_then(|context| context.request_id) {
                let id = HeaderValue::from_str(&id).unwrap();
                response.headers_mut().insert("x-request-id", id);
            }
            Ok(response)
        })
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "sc.auth.v1.AuthService";
}

struct Running {
    address: SocketAddr,
    echo: Echo,
    closing: CancellationToken,
    /// Without telling callers.
    stop_listening: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

async fn start(knows_streams: bool) -> Running {
    start_at(SocketAddr::from(([127, 0, 0, 1], 0)), knows_streams).await
}

async fn start_at(address: SocketAddr, knows_streams: bool) -> Running {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (echo, closing) = (Echo::default(), CancellationToken::new());
    let mut routes = Routes::new(echo.clone());
    if knows_streams {
        routes = routes.add_service(Exchange::new(echo.clone(), closing.clone()));
    }
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let (stop_listening, stopped) = oneshot::channel();
    let asked = closing.clone();
    let stop = async move {
        tokio::select! {
            () = asked.cancelled() => {}
            Ok(()) = stopped => {}
        }
    };
    let task = tokio::spawn(async move {
        let server = Server::builder().add_routes(routes);
        server.serve_with_incoming_shutdown(incoming, stop).await.unwrap();
    });
    Running {
        address,
        echo,
        closing,
        stop_listening: Some(stop_listening),
        task,
    }
}

fn client(address: SocketAddr) -> RpcClient {
    client_of(&format!("http://{address}"))
}

fn client_of(url: &str) -> RpcClient {
    RpcClient::new("auth", url, &RpcSettings::default(), None).unwrap()
}

async fn call(client: &RpcClient, message: impl Into<Bytes>) -> Result<tonic::Response<Bytes>, Status> {
    client.call_encoded(GetJwks::METHOD, message.into()).await
}

impl Running {
    fn served(&self) -> (usize, usize) {
        let served = &self.echo.shared;
        (
            served.together.load(Ordering::SeqCst),
            served.alone.load(Ordering::SeqCst),
        )
    }

    async fn until_under_way(&self, count: usize) {
        eventually(SOON, || async {
            (self.echo.shared.under_way.load(Ordering::SeqCst) == count).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_calls_gets_its_own_answer() {
    let server = start(true).await;
    let client = client(server.address);
    let calls = (0..3_000).map(|turn| {
        let client = client.clone();
        let context = RequestContext::for_event(Some(&format!("r-{turn}")), None);
        request_context::scope(context, async move {
            let answer = call(&client, format!("call {turn}")).await.unwrap();
            assert_eq!(
                answer.metadata().get("x-request-id").unwrap(),
                &format!("r-{turn}")
            );
            assert_eq!(answer.into_inner(), format!("call {turn}"));
        })
    });
    join_all(calls).await;
    assert_eq!(server.served(), (3_000, 0));
}

#[tokio::test]
async fn a_call_fails_alone() {
    let server = start(true).await;
    let client = client(server.address);
    let held = tokio::spawn({
        let client = client.clone();
        async move { call(&client, "hold").await.map(tonic::Response::into_inner) }
    });
    server.until_under_way(1).await;
    let refused = call(&client, "refuse").await.unwrap_err();
    assert_eq!(Problem::from(refused).code().name, "not_found");
    let died = call(&client, "panic").await.unwrap_err();
    assert_eq!(died.code(), Code::Internal);
    let huge = call(&client, "huge").await.unwrap_err();
    assert_eq!(huge.code(), Code::OutOfRange);
    server.echo.shared.release.notify_one();
    assert_eq!(held.await.unwrap().unwrap(), "hold");
}

#[tokio::test]
async fn a_large_message_goes_alone() {
    let server = start(true).await;
    let client = client(server.address);
    let message = vec![7; 100_000];
    let answer = call(&client, message.clone()).await.unwrap();
    assert_eq!(answer.into_inner(), message);
    call(&client, "small").await.unwrap();
    assert_eq!(server.served(), (1, 1));
}

#[tokio::test]
async fn an_older_server_is_called_one_by_one() {
    let server = start(false).await;
    let client = client(server.address);
    for _ in 0..4 {
        assert_eq!(call(&client, "as ever").await.unwrap().into_inner(), "as ever");
    }
    assert_eq!(server.served(), (0, 4));
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_ends() {
    let server = start(true).await;
    let client = client(server.address);
    let held = tokio::spawn({
        let client = client.clone();
        async move { call(&client, "hold").await }
    });
    server.until_under_way(1).await;
    held.abort();
    server.until_under_way(0).await;
    // The stream goes on.
    call(&client, "next").await.unwrap();
}

/// A server that leaves answers what it has; what comes then finds the next one.
#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_lost_when_a_server_leaves() {
    let mut server = start(true).await;
    let client = client(server.address);
    let held: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { call(&client, "hold").await })
        })
        .collect();
    server.until_under_way(10).await;
    server.closing.cancel();
    // Its listener is closed before its calls are answered.
    let next = eventually(SOON, || async {
        match TcpListener::bind(server.address).await {
            Ok(listener) => {
                drop(listener);
                Some(start_at(server.address, true).await)
            }
            Err(_) => None,
        }
    })
    .await;
    eventually(SOON, || async {
        // It is not tried again.
        client
            .call_encoded(Register::METHOD, "next".into())
            .await
            .unwrap();
        (next.served().0 > 1).then_some(())
    })
    .await;
    assert!(!server.task.is_finished());
    server.echo.shared.release.notify_waiters();
    for call in held {
        call.await.unwrap().unwrap();
    }
    timeout(SOON, &mut server.task).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_a_lost_connection_are_told_so_and_the_next_finds_another() {
    let server = start(true).await;
    let url = format!("http://{}", server.address);
    let proxy = TestProxy::before(&url, 80).await;
    let client = client_of(&proxy.url(&url));
    let held: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            // Not idempotent: not tried again.
            tokio::spawn(async move { client.call_encoded(Register::METHOD, "hold".into()).await })
        })
        .collect();
    server.until_under_way(10).await;
    proxy.cut();
    for call in held {
        let lost = timeout(SOON, call).await.unwrap().unwrap().unwrap_err();
        assert_eq!(lost.code(), Code::Unavailable);
    }
    // Nobody waits for them any more.
    server.until_under_way(0).await;
    eventually(SOON, || async { call(&client, "again").await.ok() }).await;
}

#[tokio::test]
async fn a_client_that_is_gone_leaves_no_connection_behind() {
    let mut server = start(true).await;
    let client = client(server.address);
    call(&client, "hello").await.unwrap();
    let held = tokio::spawn({
        let client = client.clone();
        async move { call(&client, "hold").await }
    });
    server.until_under_way(1).await;
    drop(client);
    server.echo.shared.release.notify_one();
    held.await.unwrap().unwrap();
    // It waits for its connections, not for the token that tells callers to leave.
    let stopping = server.stop_listening.take().unwrap();
    let _ = stopping.send(());
    timeout(SOON, &mut server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stranger_cannot_have_more_than_so_many_calls_under_way() {
    let (tell, mut told) = mpsc::channel(1);
    let running = Arc::new(super::Running {
        tell,
        calls: Mutex::default(),
    });
    let echo = Echo::default();
    for id in 1..=MAX_CALLS as u64 + 1 {
        let call = Call {
            id,
            path: "/a/b".into(),
            message: Bytes::from_static(b"hold"),
            timeout_micros: 1_000_000,
            context: None,
        };
        running.begin(&echo, call);
    }
    let refused = told.recv().await.unwrap();
    assert_eq!(
        (refused.id, refused.code),
        (MAX_CALLS as u64 + 1, i32::from(Code::Unavailable))
    );
    running.give_all_up();
    // An id that is under way is no way around it.
    for _ in 0..2 {
        let call = Call {
            id: 7,
            path: "/a/b".into(),
            message: Bytes::from_static(b"hold"),
            timeout_micros: 1_000_000,
            context: None,
        };
        running.begin(&echo, call);
    }
    assert_eq!(told.recv().await.unwrap().id, 7);
}
