//! Compression of what is worth it, for those who take it.

use axum::response::Response;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, VARY};
use http::{HeaderMap, HeaderValue};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, DefaultPredicate, Predicate, SizeAbove};

use super::through;

/// Below this a compressed answer is hardly smaller.
const FROM_BYTES: u64 = 256;

type Worth = And<SizeAbove, DefaultPredicate>;

pub struct Compress {
    layer: CompressionLayer<Worth>,
    worth: Worth,
}

/// What the request takes, kept while it is answered.
pub struct Accepted(Vec<HeaderValue>);

impl Accepted {
    pub fn of(headers: &HeaderMap) -> Self {
        Self(headers.get_all(ACCEPT_ENCODING).iter().cloned().collect())
    }

    /// Whether it may refuse even what is not compressed, which the layer answers with 406.
    fn may_refuse_all(&self) -> bool {
        let has_zero = |value: &HeaderValue| value.as_bytes().windows(2).any(|pair| pair == b"=0");
        self.0.iter().any(has_zero)
    }
}

impl Compress {
    pub fn new() -> Self {
        let worth = SizeAbove::new(FROM_BYTES).and(DefaultPredicate::new());
        Self {
            layer: CompressionLayer::new().compress_when(worth.clone()),
            worth,
        }
    }

    /// The answer as the layer would give it, which is entered only when it has something to do.
    pub async fn apply(&self, accepted: Accepted, mut response: Response) -> Response {
        let headers = response.headers();
        let is_worth = !headers.contains_key(CONTENT_ENCODING)
            && !headers.contains_key(CONTENT_RANGE)
            && self.worth.should_compress(&response);
        if accepted.0.is_empty() {
            if is_worth {
                vary(response.headers_mut());
            }
            return response;
        }
        if !is_worth && !accepted.may_refuse_all() {
            return response;
        }
        let mut asked = http::Request::new(());
        for value in accepted.0 {
            asked.headers_mut().append(ACCEPT_ENCODING, value);
        }
        Box::pin(through(&self.layer, asked, response)).await
    }
}

/// Who takes it gets another answer: caches have to know.
fn vary(headers: &mut HeaderMap) {
    let name = ACCEPT_ENCODING.as_str().as_bytes();
    let says_so = |value: &HeaderValue| {
        let mut parts = value.as_bytes().windows(name.len());
        parts.any(|part| part.eq_ignore_ascii_case(name))
    };
    if !headers.get_all(VARY).iter().any(says_so) {
        headers.append(VARY, ACCEPT_ENCODING.into());
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::header::CONTENT_TYPE;

    use super::*;

    #[tokio::test]
    async fn every_answer_is_the_one_that_the_layer_would_give() {
        let compress = Compress::new();
        let answers = [
            ("application/json", 255, None),
            ("application/json", 256, None),
            (
                "application/json",
                256,
                Some((VARY, "Authorization, Accept-Encoding")),
            ),
            ("application/json", 256, Some((VARY, "origin"))),
            ("application/json", 256, Some((CONTENT_ENCODING, "gzip"))),
            ("application/json", 256, Some((CONTENT_RANGE, "bytes 0-255/256"))),
            ("image/png", 256, None),
            ("text/event-stream", 256, None),
        ];
        let accepts: &[&[&str]] = &[
            &[],
            &[""],
            &["gzip"],
            &["br;q=0.5", "gzip"],
            &["identity"],
            &["identity;q=0"],
            &["*;q=0"],
            &["*;Q=0.000, gzip;q=1"],
            &["x, identity; q=0"],
        ];
        for (kind, length, header) in &answers {
            for accept in accepts {
                let answer = || {
                    let mut answer = Response::new(Body::from("x".repeat(*length)));
                    let headers = answer.headers_mut();
                    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                    if let Some((name, value)) = header {
                        headers.insert(name, HeaderValue::from_static(value));
                    }
                    answer
                };
                let mut request = http::Request::new(());
                for value in *accept {
                    let value = HeaderValue::from_static(value);
                    request.headers_mut().append(ACCEPT_ENCODING, value);
                }
                let accepted = Accepted::of(request.headers());
                let found = compress.apply(accepted, answer()).await;
                let expected = through(&compress.layer, request, answer()).await;
                let asked = format!("{kind} {length} {header:?} {accept:?}");
                assert_eq!(found.status(), expected.status(), "{asked}");
                assert_eq!(found.headers(), expected.headers(), "{asked}");
                let read = |answer: Response| axum::body::to_bytes(answer.into_body(), 1 << 10);
                assert_eq!(
                    read(found).await.unwrap(),
                    read(expected).await.unwrap(),
                    "{asked}"
                );
            }
        }
    }
}
