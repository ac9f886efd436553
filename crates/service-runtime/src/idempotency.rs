//! `Idempotency-Key`: the same key with the same request gives the first answer again. Durable, in the service's own schema.

use aws_lc_rs::digest;
use bytes::Bytes;
use contracts::Method;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use postgres::Database;
use problem::{Problem, codes};
use sqlx::AssertSqlSafe;
use time::Duration;
use tonic::Status;
use tonic::body::Body;

use crate::grpc::{HTTP_STATUS, IDEMPOTENT_REPLAYED};

/// A process that dies in the middle leaves its key locked for this long. Longer than any request runs.
const LOCK: Duration = Duration::seconds(60);
/// How long an answer is kept.
const RETENTION: &str = "interval '24 hours'";
const MAX_BODY: usize = 12 << 20;

pub struct IdempotencyKeys {
    db: Database,
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

    /// Runs `call` unless a request with this key did before.
    pub async fn once<F, Fut, E>(
        &self,
        caller: &str,
        method: &'static Method,
        key: &str,
        request: Request<Body>,
        call: F,
    ) -> Result<Response<Body>, E>
    where
        F: FnOnce(Request<Body>) -> Fut,
        Fut: Future<Output = Result<Response<Body>, E>>,
    {
        let scope = format!("{caller} {}", method.path);
        let (head, body) = request.into_parts();
        let body = match http_body_util::Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return Ok(Status::from(Problem::new(&codes::PAYLOAD_TOO_LARGE)).into_http()),
        };
        let fingerprint = digest::digest(&digest::SHA256, &body);
        match self.claim(&scope, key, fingerprint.as_ref()).await {
            Err(fault) => Ok(Status::from(postgres::problem_of(fault)).into_http()),
            Ok(Claim::Running) => Ok(Status::from(Problem::new(&codes::IDEMPOTENCY_KEY_IN_USE)).into_http()),
            Ok(Claim::OtherRequest) => {
                Ok(Status::from(Problem::new(&codes::IDEMPOTENCY_KEY_REUSED)).into_http())
            }
            Ok(Claim::Done {
                response,
                http_status,
            }) => Ok(replayed(response, http_status)),
            Ok(Claim::New) => {
                let answer = call(Request::from_parts(head, Body::new(Full::new(body)))).await;
                self.keep(&scope, key, answer).await
            }
        }
    }

    async fn claim(&self, scope: &str, key: &str, fingerprint: &[u8]) -> Result<Claim, sqlx::Error> {
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
            .bind(scope)
            .bind(key)
            .bind(fingerprint)
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
            .bind(scope)
            .bind(key)
            .fetch_optional(self.db.primary())
            .await?;
        Ok(match known {
            Some((stored, ..)) if stored != fingerprint => Claim::OtherRequest,
            Some((_, Some(response), http_status)) => Claim::Done {
                response,
                http_status,
            },
            // Without a row the first request failed this very moment: the client may try again.
            _ => Claim::Running,
        })
    }

    /// Stores a good answer; after a failure the key is free again.
    async fn keep<E>(
        &self,
        scope: &str,
        key: &str,
        answer: Result<Response<Body>, E>,
    ) -> Result<Response<Body>, E> {
        let response = match answer {
            Ok(response) => response,
            Err(fault) => {
                self.release(scope, key).await;
                return Err(fault);
            }
        };
        let (head, body) = response.into_parts();
        let Ok(collected) = body.collect().await else {
            self.release(scope, key).await;
            return Ok(Status::internal("the answer broke off").into_http());
        };
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let bytes = collected.to_bytes();
        let status = head
            .headers
            .get("grpc-status")
            .or_else(|| trailers.get("grpc-status"));
        if status.is_some_and(|status| status != "0") {
            self.release(scope, key).await;
        } else {
            let http_status = head
                .headers
                .get(HTTP_STATUS)
                .and_then(|v| v.to_str().ok()?.parse::<i16>().ok());
            self.store(scope, key, &bytes, http_status).await;
        }
        Ok(Response::from_parts(head, body_with(bytes, trailers)))
    }

    async fn store(&self, scope: &str, key: &str, response: &[u8], http_status: Option<i16>) {
        let statement = format!(
            "UPDATE {}.idempotency_keys SET response = $3, http_status = $4 WHERE scope = $1 AND key = $2",
            self.db.schema()
        );
        let stored = sqlx::query(AssertSqlSafe(statement))
            .bind(scope)
            .bind(key)
            .bind(response)
            .bind(http_status);
        if let Err(fault) = stored.execute(self.db.primary()).await {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "the answer for an idempotency key was not kept"
            );
        }
    }

    async fn release(&self, scope: &str, key: &str) {
        let statement = format!(
            "DELETE FROM {}.idempotency_keys WHERE scope = $1 AND key = $2 AND response IS NULL",
            self.db.schema()
        );
        let released = sqlx::query(AssertSqlSafe(statement)).bind(scope).bind(key);
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
