//! What is not the API: its document, the viewer of it, and the pages behind the links of mails.

use axum::response::{IntoResponse, Response};
use axum::routing::{Router, get};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

pub fn routes() -> Router {
    let swagger = (
        include_str!("../assets/swagger-ui/swagger-ui.css"),
        include_str!("../assets/swagger-ui/swagger-ui-bundle.js"),
    );
    Router::new()
        .route(
            "/openapi.json",
            get(|| page("application/json", contracts::OPENAPI_JSON)),
        )
        .route("/docs", get(|| page(HTML, include_str!("../assets/docs.html"))))
        .route("/docs/", get(|| page(HTML, include_str!("../assets/docs.html"))))
        .route(
            "/docs/docs.js",
            get(|| page(SCRIPT, include_str!("../assets/docs.js"))),
        )
        .route("/docs/swagger-ui.css", get(move || page(CSS, swagger.0)))
        .route("/docs/swagger-ui-bundle.js", get(move || page(SCRIPT, swagger.1)))
        .route(
            "/verify-email",
            get(|| page(HTML, include_str!("../assets/verify-email.html"))),
        )
        .route(
            "/reset-password",
            get(|| page(HTML, include_str!("../assets/reset-password.html"))),
        )
        .route(
            "/account.css",
            get(|| page(CSS, include_str!("../assets/account.css"))),
        )
        .route(
            "/account.js",
            get(|| page(SCRIPT, include_str!("../assets/account.js"))),
        )
}

#[expect(clippy::unused_async, reason = "a handler has to be async")]
async fn page(content_type: &'static str, content: &'static str) -> Response {
    (
        [
            (CONTENT_TYPE, content_type),
            (CACHE_CONTROL, "public, max-age=300"),
        ],
        content,
    )
        .into_response()
}
