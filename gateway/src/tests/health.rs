//! Health, as balancers and the older systems ask for it.

use test_support::eventually;

use super::backend::PATIENCE;
use super::edge::{Answer, Edge, Options};

async fn ready(edge: &Edge) -> Answer {
    eventually(PATIENCE, || async {
        let answer = edge.get("/health/ready", &[]).await;
        (answer.status == 200).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn both_spellings_answer() {
    let edge = Edge::start().await;
    ready(&edge).await;
    for base in [
        "/health",
        "/health/live",
        "/health/ready",
        "/api/health",
        "/api/health/ready",
        "/api/health/live",
        "/ready",
        "/live",
    ] {
        for slash in ["", "/"] {
            let path = format!("{base}{slash}");
            assert_eq!(edge.get(&path, &[]).await.status, 200, "{path}");
        }
    }
    edge.get("/metrics", &[])
        .await
        .check_problem(404, "route_not_found");
}

#[tokio::test]
async fn one_service_away_does_not_take_the_others_along() {
    let edge = Edge::start_with(Options {
        away: &["auth", "notification"],
        ..Options::default()
    })
    .await;
    let answer = ready(&edge).await.json();
    assert_eq!(answer["status"], "ready");
    for (check, holds) in [
        ("database", true),
        ("cache", false),
        ("auth", false),
        ("catalog", true),
        ("enrollment", true),
        ("notification", false),
    ] {
        assert_eq!(answer["checks"][check], holds, "{check}");
    }
}

#[tokio::test]
async fn it_is_not_ready_with_nobody_behind_it_or_while_it_stops() {
    let alone = Edge::start_with(Options {
        away: &[
            "auth",
            "catalog",
            "enrollment",
            "notification",
            "video_progress",
            "exam",
            "reporting",
        ],
        ..Options::default()
    })
    .await;
    let answer = alone.get("/health/ready", &[]).await;
    assert_eq!(
        (answer.status, answer.json()["status"].as_str()),
        (503, Some("not ready"))
    );
    assert_eq!(alone.get("/health/live", &[]).await.status, 200);

    let edge = Edge::start().await;
    ready(&edge).await;
    edge.stopping.cancel();
    assert_eq!(edge.get("/ready/", &[]).await.status, 503);
}

#[tokio::test]
async fn metrics_are_public_only_when_wanted_and_clients_make_no_series() {
    telemetry::install_recorder();
    let edge = Edge::start_with(Options {
        settings: &[("SC_HTTP__PUBLIC_METRICS", "true")],
        ..Options::default()
    })
    .await;
    edge.send("MADEUP", "/health", &[], b"").await;
    edge.get("/api/v1/courses", &[]).await;
    let text = String::from_utf8(edge.get("/metrics/prometheus", &[]).await.bytes).unwrap();
    assert!(
        text.contains("http_request_seconds_count") && text.contains("route=\"/api/v1/courses\""),
        "{text}"
    );
    assert!(text.contains("method=\"_OTHER\"") && !text.contains("MADEUP"));
    assert!(edge.get("/metrics", &[]).await.json()["http_request_seconds_count"].is_array());
}
