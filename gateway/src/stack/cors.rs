//! CORS: answers preflights, and tells browsers of the listed origins what they may see of an answer.

use std::time::Duration;

use axum::response::Response;
use futures::FutureExt;
use http::header::{
    ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, ORIGIN,
    RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::through;
use crate::config::HttpSettings;

pub struct Cors {
    layer: CorsLayer,
    /// What the layer puts on an answer to a request without an origin: always the same.
    plain: HeaderMap,
}

impl Cors {
    /// Browsers of the listed origins, and no others.
    pub fn new(settings: &HttpSettings) -> Self {
        let layer = layer(settings);
        let plain = through(&layer, http::Request::new(()), Response::default());
        let plain = plain.now_or_never().unwrap_or_default().into_parts().0.headers;
        Self { layer, plain }
    }

    /// The answer to a preflight, which is any OPTIONS.
    pub async fn preflight(&self, headers: &HeaderMap) -> Response {
        let mut asked = http::Request::new(());
        *asked.method_mut() = Method::OPTIONS;
        asked.headers_mut().clone_from(headers);
        through(&self.layer, asked, Response::default()).await
    }

    /// Any other answer with its headers; `origin` is the request's.
    pub async fn told(&self, origin: Option<HeaderValue>, mut response: Response) -> Response {
        if let Some(origin) = origin {
            let mut asked = http::Request::new(());
            asked.headers_mut().insert(ORIGIN, origin);
            return Box::pin(through(&self.layer, asked, response)).await;
        }
        let headers = response.headers_mut();
        for (name, value) in &self.plain {
            if name == VARY {
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
        }
        response
    }
}

fn layer(settings: &HttpSettings) -> CorsLayer {
    let origins: Vec<HeaderValue> = settings
        .cors_origins
        .iter()
        .filter_map(|origin| origin.parse().ok())
        .collect();
    let name = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            ACCEPT_LANGUAGE,
            IF_NONE_MATCH,
            name("idempotency-key"),
            name("x-request-id"),
            name("traceparent"),
            name("tracestate"),
        ])
        .expose_headers([
            ETAG,
            LOCATION,
            RETRY_AFTER,
            CONTENT_DISPOSITION,
            name("x-request-id"),
            name("idempotent-replayed"),
            name("x-ratelimit-limit"),
            name("x-ratelimit-remaining"),
            name("x-ratelimit-reset"),
            name("ratelimit"),
            name("ratelimit-policy"),
        ])
        .max_age(Duration::from_mins(10))
}

#[cfg(test)]
mod tests {
    use http::header::ACCESS_CONTROL_REQUEST_METHOD;
    use service_runtime::App;
    use service_runtime::configuration::load;

    use super::*;
    use crate::app::Gateway;
    use crate::config::Settings;

    #[tokio::test]
    async fn every_answer_has_the_headers_that_the_layer_would_give_it() {
        let origin = "https://app.example.edu";
        let given = [("SC_HTTP__CORS_ORIGINS".to_owned(), origin.to_owned())];
        let settings = load::<Settings>(Gateway::DEFAULTS, None, given).unwrap().app.http;
        let cors = Cors::new(&settings);
        for method in [Method::GET, Method::PUT, Method::OPTIONS] {
            for origin in [None, Some(origin), Some("https://evil.example"), Some("")] {
                let mut request = http::Request::new(());
                *request.method_mut() = method.clone();
                let headers = request.headers_mut();
                headers.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT"));
                let origin = origin.map(HeaderValue::from_static);
                if let Some(origin) = &origin {
                    headers.insert(ORIGIN, origin.clone());
                }
                let answer = || {
                    let mut answer = Response::default();
                    answer
                        .headers_mut()
                        .insert(VARY, HeaderValue::from_static("Authorization"));
                    answer
                };
                let expected = through(&cors.layer, request.clone(), answer()).await;
                let found = if method == Method::OPTIONS {
                    cors.preflight(request.headers()).await
                } else {
                    cors.told(origin.clone(), answer()).await
                };
                assert_eq!(found.headers(), expected.headers(), "{method} {origin:?}");
                assert_eq!(found.status(), expected.status());
                assert!(found.headers().contains_key(VARY));
            }
        }
    }
}
