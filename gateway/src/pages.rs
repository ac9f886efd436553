//! What is not the API: its document, the viewer of it, and the pages behind the links of mails.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{Redirect, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::etag;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";

/// A file of the binary.
#[derive(Clone, Copy)]
struct File {
    content_type: &'static str,
    content: &'static [u8],
    is_gzip: bool,
}

macro_rules! file {
    ($content_type:expr, $name:literal) => {
        File {
            content_type: $content_type,
            content: include_bytes!(concat!("../assets/", $name)),
            is_gzip: false,
        }
    };
    // For every client: it would be compressed at each request otherwise, and all browsers take it.
    ($content_type:expr, gzip $name:literal) => {
        File {
            is_gzip: true,
            ..file!($content_type, $name)
        }
    };
}

/// The API has no page of its own to begin with.
const FRONT: &str = "/docs";

pub fn routes() -> Router {
    let document = File {
        content_type: JSON,
        content: contracts::OPENAPI_JSON.as_bytes(),
        is_gzip: false,
    };
    [
        ("/openapi.json", document),
        ("/docs", file!(HTML, "docs.html")),
        ("/docs/", file!(HTML, "docs.html")),
        ("/docs/docs.js", file!(SCRIPT, "docs.js")),
        (
            "/docs/swagger-ui.css",
            file!(CSS, gzip "swagger-ui/swagger-ui.css.gz"),
        ),
        (
            "/docs/swagger-ui-bundle.js",
            file!(SCRIPT, gzip "swagger-ui/swagger-ui-bundle.js.gz"),
        ),
        ("/verify-email", file!(HTML, "verify-email.html")),
        ("/confirm-email", file!(HTML, "confirm-email.html")),
        ("/reset-password", file!(HTML, "reset-password.html")),
        ("/account.css", file!(CSS, "account.css")),
        ("/account.js", file!(SCRIPT, "account.js")),
    ]
    .into_iter()
    .fold(
        Router::new().route("/", get(async || Redirect::temporary(FRONT))),
        |router, (path, file)| router.route(path, file.route()),
    )
}

impl File {
    fn route(self) -> axum::routing::MethodRouter {
        let tag: Arc<str> = etag::of(self.content).into();
        get(move |headers: HeaderMap| std::future::ready(self.answer(&tag, &headers)))
    }

    fn answer(self, tag: &str, asked: &HeaderMap) -> Response {
        let is_known = asked
            .get(IF_NONE_MATCH)
            .is_some_and(|known| etag::matches(known, tag));
        let mut response = Response::new(if is_known {
            Body::empty()
        } else {
            Body::from(self.content)
        });
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(tag) {
            headers.insert(ETAG, tag);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if self.is_gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        response
    }
}
