//! Answers that are the same for everybody, kept encoded and compressed for a second: however many ask, a service is asked once.
//!
//! A write that went through this gateway makes all answers of its service unreachable at once; what changes elsewhere shows after
//! [`TTL`]. Callers are authenticated and limited as ever before they come here.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use access_token::Caller;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use contracts::Method;
use dashmap::DashMap;
use equivalent::Equivalent;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use metrics::Counter;
use moka::future::Cache;
use problem::Problem;

use crate::etag;

/// Of answers that another process may have made stale.
const TTL: Duration = Duration::from_secs(1);
const MAX_BYTES: u64 = 64 << 20;
/// Below this a compressed answer is hardly smaller.
const COMPRESS_FROM_BYTES: usize = 256;

#[derive(Clone)]
pub struct SharedAnswers {
    answers: Cache<Key, Arc<SharedAnswer>>,
    /// Of each service: grows with every write.
    generations: Arc<DashMap<&'static str, u64>>,
    hits: Counter,
    misses: Counter,
}

/// The generation of the service, and what is asked for.
type Key = (u64, Box<str>);

/// A [`Key`] that is looked for. It hashes as that does.
#[derive(Hash)]
pub struct Asked<'a>(u64, &'a str);

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.0 == key.0 && *self.1 == *key.1
    }
}

/// An answer as it is sent.
pub struct SharedAnswer {
    plain: Bytes,
    gzip: Option<Bytes>,
    tag: HeaderValue,
}

impl SharedAnswers {
    pub fn new() -> Self {
        let answers = Cache::builder()
            .max_capacity(MAX_BYTES)
            .weigher(|key: &Key, answer: &Arc<SharedAnswer>| {
                let gzip = answer.gzip.as_ref().map_or(0, Bytes::len);
                u32::try_from(key.1.len() + answer.plain.len() + gzip + 256).unwrap_or(u32::MAX)
            })
            .time_to_live(TTL)
            .build();
        Self {
            answers,
            generations: Arc::default(),
            hits: metrics::counter!("shared_answers_total", "outcome" => "hit"),
            misses: metrics::counter!("shared_answers_total", "outcome" => "miss"),
        }
    }

    /// Where the answer for this caller is found, if it may be shared with them.
    pub fn asked<'a>(
        &self,
        method: &'static Method,
        caller: &Caller,
        path_and_query: &'a str,
    ) -> Option<Asked<'a>> {
        let policy = method.policy.cache.filter(|cache| !cache.per_user)?;
        if policy
            .except_permission
            .is_some_and(|permission| caller.has(permission))
        {
            return None;
        }
        let generation = self
            .generations
            .get(method.service)
            .map_or(0, |generation| *generation);
        Some(Asked(generation, path_and_query))
    }

    /// What is written may be in any answer of the service.
    pub fn written(&self, method: &'static Method) {
        *self.generations.entry(method.service).or_default() += 1;
    }

    /// The answer, where it is kept.
    pub async fn known(&self, asked: &Asked<'_>) -> Option<Arc<SharedAnswer>> {
        let answer = self.answers.get(asked).await?;
        self.hits.increment(1);
        Some(answer)
    }

    /// The answer that is not kept, fetched once for all who ask meanwhile. A refusal is not kept: who asked gets it, and those who waited for it
    /// get nothing.
    pub async fn get(
        &self,
        asked: Asked<'_>,
        fetch: impl Future<Output = Result<SharedAnswer, Problem>>,
    ) -> Result<Option<Arc<SharedAnswer>>, Problem> {
        self.misses.increment(1);
        let key = (asked.0, asked.1.into());
        let mut refusal = None;
        let fetched = async {
            match fetch.await {
                Ok(answer) => Some(Arc::new(answer)),
                Err(problem) => {
                    refusal = Some(problem);
                    None
                }
            }
        };
        let answer = self.answers.optionally_get_with(key, fetched).await;
        match refusal {
            Some(problem) => Err(problem),
            None => Ok(answer),
        }
    }
}

impl SharedAnswer {
    pub fn of(plain: Vec<u8>) -> Result<Self, Problem> {
        let tag = HeaderValue::from_str(&etag::of(&plain)).map_err(Problem::internal)?;
        let gzip = if plain.len() < COMPRESS_FROM_BYTES {
            None
        } else {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&plain).map_err(Problem::internal)?;
            Some(encoder.finish().map_err(Problem::internal)?.into())
        };
        Ok(Self {
            plain: plain.into(),
            gzip,
            tag,
        })
    }

    pub fn response(&self, headers: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        let own = response.headers_mut();
        own.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        own.insert(VARY, HeaderValue::from_static("Authorization, Accept-Encoding"));
        own.insert(ETAG, self.tag.clone());
        let tag = self.tag.to_str().unwrap_or_default();
        if headers
            .get(IF_NONE_MATCH)
            .is_some_and(|known| etag::matches(known, tag))
        {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = match &self.gzip {
            Some(gzip) if takes_gzip(headers) => {
                own.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                gzip
            }
            _ => &self.plain,
        };
        *response.body_mut() = Body::from(body.clone());
        response
    }
}

/// RFC 9110, section 12.5.3, as far as we have a choice: gzip where it is named and not refused.
fn takes_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let refused = parts.any(|parameter| {
                parameter
                    .strip_prefix("q=")
                    .and_then(|weight| weight.parse::<f32>().ok())
                    .is_some_and(|weight| weight <= 0.0)
            });
            is_gzip && !refused
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_who_asks_for_it() {
        for (value, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("x-gzip", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap())]);
            assert_eq!(takes_gzip(&headers), takes, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
