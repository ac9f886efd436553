//! `Idempotency-Key`: the same key with the same request gives the first answer again. Durable, in the service's own schema.
//!
//! Neither key nor request is stored, and the answer is sealed with both: requests have passwords and answers have secrets, and
//! whoever reads the table learns none of them (ADR 29).

use std::pin::pin;
use std::sync::Arc;

use aws_lc_rs::hmac;
use bytes::Bytes;
use contracts::Method;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use postgres::Database;
use problem::{Problem, codes};
use sealed::Sealer;
use sqlx::AssertSqlSafe;
use time::Duration;
use tonic::Status;
use tonic::body::Body;

use crate::grpc::{HTTP_STATUS, IDEMPOTENT_REPLAYED};

/// A process that dies in the middle leaves its key locked for this long; one that lives renews it.
const LOCK: Duration = Duration::seconds(60);
/// Who repeats a request that still runs asks again after this.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);
const RENEWED_EVERY: std::time::Duration = std::time::Duration::from_secs(20);
/// How long an answer is kept.
const RETENTION: &str = "interval '24 hours'";
/// The largest file, in base64.
const MAX_BODY: usize = 16 << 20;

pub struct IdempotencyKeys {
    db: Database,
}

/// A request with a key, as the table knows it.
struct Keyed {
    /// The caller and the RPC.
    scope: String,
    /// Stands for the key.
    name: String,
    fingerprint: [u8; 32],
    /// Opens the answer.
    sealer: Sealer,
}

impl Keyed {
    fn of(caller: &str, method: &Method, key: &str, body: &[u8]) -> Self {
        let scope = format!("{caller} {}", method.path);
        // What cannot be guessed is the client's key: all else is derived from it, each for its own purpose.
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let derived = |purpose: &str, from: &[u8]| {
            let mut context = hmac::Context::with_key(&secret);
            context.update(purpose.as_bytes());
            context.update(&[0]);
            context.update(from);
            let mut bytes = [0; 32];
            bytes.copy_from_slice(context.sign().as_ref());
            bytes
        };
        Self {
            name: hex::encode(derived("name", scope.as_bytes())),
            fingerprint: derived("fingerprint", body),
            sealer: Sealer::new(derived("answer", body)),
            scope,
        }
    }
}

/// What is known of a key.
enum Claim {
    /// Ours: nobody used it before, or who did has died.
    New,
    Running,
    OtherRequest,
    Done {
        response: Vec<u8>,
        http_status: Option<i16>,
    },
}

impl IdempotencyKeys {
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// Runs `call` unless a request with this key did before. It runs to its end and its answer is kept, whether or not somebody still
    /// waits: an effect whose answer is not kept would come a second time with the next try.
    pub async fn once<F, Fut, E>(
        self: &Arc<Self>,
        caller: &str,
        method: &'static Method,
        key: &str,
        request: Request<Body>,
        call: F,
    ) -> Result<Response<Body>, E>
    where
        F: FnOnce(Request<Body>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Response<Body>, E>> + Send,
        E: Send + 'static,
    {
        let (head, body) = request.into_parts();
        let body = match http_body_util::Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return Ok(Status::from(Problem::new(&codes::PAYLOAD_TOO_LARGE)).into_http()),
        };
        let keyed = Keyed::of(caller, method, key, &body);
        let keys = Arc::clone(self);
        let request = Request::from_parts(head, Body::new(Full::new(body)));
        let work = request_context::spawn(async move { keys.run(&keyed, request, call).await });
        work.await
            .unwrap_or_else(|fault| Ok(Status::from(Problem::internal(fault)).into_http()))
    }

    async fn run<F, Fut, E>(
        &self,
        keyed: &Keyed,
        request: Request<Body>,
        call: F,
    ) -> Result<Response<Body>, E>
    where
        F: FnOnce(Request<Body>) -> Fut,
        Fut: Future<Output = Result<Response<Body>, E>>,
    {
        match self.claim(keyed).await {
            Err(fault) => Ok(Status::from(postgres::problem_of(fault)).into_http()),
            Ok(Claim::Running) => {
                let problem = Problem::new(&codes::IDEMPOTENCY_KEY_IN_USE);
                Ok(Status::from(problem.with_retry_after(ASK_AGAIN)).into_http())
            }
            Ok(Claim::OtherRequest) => {
                Ok(Status::from(Problem::new(&codes::IDEMPOTENCY_KEY_REUSED)).into_http())
            }
            Ok(Claim::Done {
                response,
                http_status,
            }) => Ok(match keyed.sealer.open(&keyed.scope, &response) {
                Ok(response) => replayed(response, http_status),
                Err(fault) => Status::from(Problem::internal(fault)).into_http(),
            }),
            Ok(Claim::New) => {
                let mut call = pin!(call(request));
                let answer = loop {
                    tokio::select! {
                        answer = &mut call => break answer,
                        () = tokio::time::sleep(RENEWED_EVERY) => self.renew(keyed).await,
                    }
                };
                self.keep(keyed, answer).await
            }
        }
    }

    async fn claim(&self, keyed: &Keyed) -> Result<Claim, sqlx::Error> {
        let schema = self.db.schema();
        // A lock that has run out is taken over: its process died before it could answer.
        let statement = format!(
            "INSERT INTO {schema}.idempotency_keys AS k (scope, key, fingerprint, locked_until)
             VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
             ON CONFLICT (scope, key) DO UPDATE
             SET fingerprint = $3, locked_until = excluded.locked_until, created_at = clock_timestamp(),
                 response = NULL, http_status = NULL
             WHERE (k.response IS NULL AND k.locked_until < clock_timestamp())
                OR k.created_at < clock_timestamp() - {RETENTION}"
        );
        let claimed = sqlx::query(AssertSqlSafe(statement))
            .bind(&keyed.scope)
            .bind(&keyed.name)
            .bind(&keyed.fingerprint[..])
            .bind(LOCK.as_seconds_f64())
            .execute(self.db.primary())
            .await?;
        if claimed.rows_affected() == 1 {
            return Ok(Claim::New);
        }
        let statement = format!(
            "SELECT fingerprint, response, http_status FROM {schema}.idempotency_keys WHERE scope = $1 AND key = $2"
        );
        type Stored = (Vec<u8>, Option<Vec<u8>>, Option<i16>);
        let known: Option<Stored> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(&keyed.scope)
            .bind(&keyed.name)
            .fetch_optional(self.db.primary())
            .await?;
        Ok(match known {
            Some((stored, ..)) if stored != keyed.fingerprint => Claim::OtherRequest,
            Some((_, Some(response), http_status)) => Claim::Done {
                response,
                http_status,
            },
            // Without a row the first request failed this very moment: the client may try again.
            _ => Claim::Running,
        })
    }

    /// Stores a good answer; after a failure the key is free again.
    async fn keep<E>(&self, keyed: &Keyed, answer: Result<Response<Body>, E>) -> Result<Response<Body>, E> {
        let response = match answer {
            Ok(response) => response,
            Err(fault) => {
                self.release(keyed).await;
                return Err(fault);
            }
        };
        let (head, body) = response.into_parts();
        let Ok(collected) = body.collect().await else {
            self.release(keyed).await;
            return Ok(Status::internal("the answer broke off").into_http());
        };
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let bytes = collected.to_bytes();
        let status = head
            .headers
            .get("grpc-status")
            .or_else(|| trailers.get("grpc-status"));
        if status.is_some_and(|status| status != "0") {
            self.release(keyed).await;
        } else {
            let http_status = head
                .headers
                .get(HTTP_STATUS)
                .and_then(|v| v.to_str().ok()?.parse::<i16>().ok());
            self.store(keyed, &bytes, http_status).await;
        }
        Ok(Response::from_parts(head, body_with(bytes, trailers)))
    }

    async fn store(&self, keyed: &Keyed, response: &[u8], http_status: Option<i16>) {
        let sealed = match keyed.sealer.seal(&keyed.scope, response) {
            Ok(sealed) => sealed,
            Err(fault) => return not_kept(&fault),
        };
        let statement = format!(
            "UPDATE {}.idempotency_keys SET response = $3, http_status = $4 WHERE scope = $1 AND key = $2",
            self.db.schema()
        );
        let stored = sqlx::query(AssertSqlSafe(statement))
            .bind(&keyed.scope)
            .bind(&keyed.name)
            .bind(sealed)
            .bind(http_status);
        if let Err(fault) = stored.execute(self.db.primary()).await {
            not_kept(&fault);
        }
    }

    /// What fails here is tried again in time.
    async fn renew(&self, keyed: &Keyed) {
        let statement = format!(
            "UPDATE {}.idempotency_keys SET locked_until = clock_timestamp() + make_interval(secs => $3)
             WHERE scope = $1 AND key = $2",
            self.db.schema()
        );
        let renewed = sqlx::query(AssertSqlSafe(statement))
            .bind(&keyed.scope)
            .bind(&keyed.name)
            .bind(LOCK.as_seconds_f64());
        if let Err(fault) = renewed.execute(self.db.primary()).await {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "the lock of an idempotency key was not renewed"
            );
        }
    }

    async fn release(&self, keyed: &Keyed) {
        let statement = format!(
            "DELETE FROM {}.idempotency_keys WHERE scope = $1 AND key = $2 AND response IS NULL",
            self.db.schema()
        );
        let released = sqlx::query(AssertSqlSafe(statement))
            .bind(&keyed.scope)
            .bind(&keyed.name);
        if let Err(fault) = released.execute(self.db.primary()).await {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "an idempotency key stays locked for a while"
            );
        }
    }

    /// Forgets old answers; gives their number.
    pub async fn purge(&self) -> Result<u64, sqlx::Error> {
        let statement = format!(
            "DELETE FROM {}.idempotency_keys WHERE created_at < clock_timestamp() - {RETENTION}",
            self.db.schema()
        );
        let removed = sqlx::query(AssertSqlSafe(statement))
            .execute(self.db.primary())
            .await?;
        Ok(removed.rows_affected())
    }
}

fn not_kept(fault: &(dyn std::error::Error + 'static)) {
    tracing::warn!(error = fault, "the answer for an idempotency key was not kept");
}

fn replayed(response: Vec<u8>, http_status: Option<i16>) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut answer = Response::new(body_with(Bytes::from(response), trailers));
    let headers = answer.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    if let Some(status) = http_status {
        headers.insert(HTTP_STATUS, HeaderValue::from(status));
    }
    answer
}

fn body_with(bytes: Bytes, trailers: HeaderMap) -> Body {
    Body::new(Full::new(bytes).with_trailers(std::future::ready(Some(Ok(trailers)))))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use contracts::Rpc;
    use contracts::auth::v1::rpc::{EnrollTotp, Login, Register};
    use test_support::{TestDatabase, eventually};
    use tokio::sync::oneshot;
    use tonic::Code;

    use super::*;

    const SECRET: &[u8] = b"otpauth://totp/secret";

    struct Fixture {
        database: TestDatabase,
        keys: Arc<IdempotencyKeys>,
        calls: Arc<AtomicUsize>,
    }

    impl Fixture {
        async fn start() -> Self {
            let database = TestDatabase::new("reporting").await;
            let keys = Arc::new(IdempotencyKeys::new(database.database()));
            Self {
                database,
                keys,
                calls: Arc::default(),
            }
        }

        /// The status, the answer, and whether it is one of before.
        async fn send(&self, method: &'static Method, key: &str, body: &'static [u8]) -> (Code, Bytes, bool) {
            self.send_slowly(method, key, body, async {}).await
        }

        async fn send_slowly(
            &self,
            method: &'static Method,
            key: &str,
            body: &'static [u8],
            work: impl Future<Output = ()> + Send + 'static,
        ) -> (Code, Bytes, bool) {
            let calls = Arc::clone(&self.calls);
            let call = |_: Request<Body>| async move {
                calls.fetch_add(1, Ordering::Relaxed);
                work.await;
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                Ok::<_, Infallible>(Response::new(body_with(Bytes::from_static(SECRET), trailers)))
            };
            let request = Request::new(Body::new(Full::new(Bytes::from_static(body))));
            let Ok(answer) = self.keys.once("anonymous", method, key, request, call).await;
            let status = answer.headers().get("grpc-status");
            let code = status.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
            let replayed = answer.headers().contains_key(IDEMPOTENT_REPLAYED);
            (
                code,
                answer.into_body().collect().await.unwrap().to_bytes(),
                replayed,
            )
        }
    }

    #[tokio::test]
    async fn who_repeats_the_request_gets_the_answer_and_nobody_else() {
        let fixture = Fixture::start().await;
        let secret = Bytes::from_static(SECRET);
        let method = Register::METHOD;
        let first = fixture.send(method, "key", b"password").await;
        assert_eq!(first, (Code::Ok, secret.clone(), false));
        let again = fixture.send(method, "key", b"password").await;
        assert_eq!(again, (Code::Ok, secret.clone(), true));
        let (code, answer, _) = fixture.send(method, "key", b"guess").await;
        assert_eq!((code, answer.is_empty()), (Code::InvalidArgument, true));
        assert_eq!(fixture.calls.load(Ordering::Relaxed), 1);
        // Of each RPC its own.
        let other = fixture.send(EnrollTotp::METHOD, "key", b"password").await;
        assert_eq!(other, (Code::Ok, secret, false));
    }

    #[tokio::test]
    async fn a_second_request_waits_for_no_first_one() {
        let fixture = Fixture::start().await;
        let (begun, has_begun) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel();
        let first = fixture.send_slowly(Register::METHOD, "key", b"body", async move {
            begun.send(()).unwrap();
            may_go_on.await.unwrap();
        });
        let second = async {
            has_begun.await.unwrap();
            let (code, ..) = fixture.send(Register::METHOD, "key", b"body").await;
            go_on.send(()).unwrap();
            code
        };
        let ((first, ..), second) = tokio::join!(first, second);
        assert_eq!((first, second), (Code::Ok, Code::FailedPrecondition));
    }

    #[tokio::test]
    async fn who_hangs_up_finds_the_answer_later() {
        let fixture = Fixture::start().await;
        let (begun, has_begun) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel();
        let first = fixture.send_slowly(Register::METHOD, "key", b"body", async move {
            begun.send(()).unwrap();
            may_go_on.await.unwrap();
        });
        tokio::select! {
            _ = first => panic!("it has to wait"),
            begun = has_begun => begun.unwrap(),
        }
        go_on.send(()).unwrap();
        let again = eventually(Duration::from_secs(10), || async {
            let again = fixture.send(Register::METHOD, "key", b"body").await;
            (again.0 != Code::FailedPrecondition).then_some(again)
        })
        .await;
        assert_eq!(again, (Code::Ok, Bytes::from_static(SECRET), true));
        assert_eq!(fixture.calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_table_tells_neither_key_nor_request_nor_answer() {
        let fixture = Fixture::start().await;
        fixture
            .send(EnrollTotp::METHOD, "a-key-of-mine", b"password")
            .await;
        let row: String = sqlx::query_scalar(
            "SELECT k::text || encode(response, 'escape') FROM reporting.idempotency_keys k",
        )
        .fetch_one(&mut fixture.database.superuser().await)
        .await
        .unwrap();
        let plain = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"password");
        for told in ["a-key-of-mine", "otpauth", "password", &hex::encode(plain)] {
            assert!(!row.contains(told), "{told} in {row}");
        }
        assert!(row.contains("EnrollTotp"));
    }

    #[test]
    fn every_post_but_sign_ins_takes_a_key() {
        assert!(Register::METHOD.is_keyed() && EnrollTotp::METHOD.is_keyed());
        assert!(!Login::METHOD.is_keyed());
        let outside: Vec<&str> = contracts::METHODS
            .iter()
            .filter(|method| method.http.is_some_and(|http| http.verb == "POST") && !method.is_keyed())
            .map(|method| method.name)
            .collect();
        assert_eq!(
            outside,
            ["FinishOidc", "IssueAccountToken", "Login", "Refresh", "StartOidc"]
        );
    }
}
