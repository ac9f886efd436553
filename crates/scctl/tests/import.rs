//! `scctl import` against an API that answers as the gateway does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, response::Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

#[derive(Default)]
struct Api {
    asked: AtomicU32,
}

async fn token(Json(body): Json<Value>) -> Response {
    if body["client_secret"] == "sa_right" {
        return Json(json!({"access_token": "at", "expires_in": 900})).into_response();
    }
    let refused = json!({"code": "invalid_credentials", "detail": "E-mail address or password is wrong."});
    (StatusCode::UNAUTHORIZED, Json(refused)).into_response()
}

async fn import(
    headers: HeaderMap,
    Query(query): Query<Value>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    assert_eq!(headers["authorization"], "Bearer at");
    assert_eq!(
        (&query["dry_run"], &body["send_invitations"]),
        (&json!("true"), &json!(true))
    );
    assert_eq!(body["content_base64"], "ZW1haWwKYWRhQHNjaG9vbC50ZXN0Cg==");
    (StatusCode::ACCEPTED, Json(json!({"id": "7", "state": "running"})))
}

/// Running, too many requests, running, over.
async fn operation(State(api): State<Arc<Api>>) -> Response {
    let state = match api.asked.fetch_add(1, Ordering::SeqCst) {
        1 => {
            let limited = Json(json!({"code": "rate_limited"}));
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], limited).into_response();
        }
        0 | 2 => "running",
        _ => "succeeded",
    };
    Json(json!({"id": "7", "state": state, "done": 1, "total": 1})).into_response()
}

async fn report() -> Json<Value> {
    Json(json!({
        "dry_run": true, "created": 0, "updated": 0, "unchanged": 0, "deactivated": 0, "refused": 1,
        "lines": [{"line": 2, "email": "ada@school.test", "outcome": "refused", "code": "role.unknown", "detail": "x"}],
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_imported_and_its_report_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/api/v1/auth/token", post(token))
        .route("/api/v1/users/import", post(import))
        .route("/api/v1/operations/7", get(operation))
        .route("/api/v1/operations/7/result", get(report))
        .with_state(Arc::new(Api::default()));
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    std::fs::write(&file, "email\nada@school.test\n").unwrap();
    let run = async |secret: &str, output: &str| {
        Command::new(env!("CARGO_BIN_EXE_scctl"))
            .args(["import", "users", "--dry-run", "-o", output])
            .arg(&file)
            .env("SCCTL_URL", &url)
            .env("SCCTL_CLIENT_ID", "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10")
            .env("SCCTL_CLIENT_SECRET", secret)
            .output()
            .await
            .unwrap()
    };
    let refused = run("sa_wrong", "json").await;
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("invalid_credentials"));
    let done = run("sa_right", "json").await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["refused"], 1);
    let shown = run("sa_right", "table").await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("role.unknown") && shown.contains("would be: 0 created"),
        "{shown}"
    );
    server.abort();
}
