//! Rate limits and load shedding.

use std::time::Duration;

use contracts::catalog::v1::rpc::GetCourse;
use test_support::eventually;

use super::backend::{HELD, PATIENCE};
use super::edge::{Edge, Options};

#[tokio::test]
async fn a_class_is_limited_for_each_user_and_says_when_to_come_back() {
    let edge = Edge::start_with(Options {
        settings: &[
            ("RATELIMIT_ENABLED", "true"),
            ("SC_RATELIMIT__API_READ__CAPACITY", "3"),
            ("SC_RATELIMIT__API_READ__REFILL", "1"),
            ("SC_RATELIMIT__API_READ__PERIOD_SECONDS", "3600"),
        ],
        ..Options::default()
    })
    .await;
    let (ada, can) = (edge.token(&[]), edge.token(&[]));
    for caller in [None, Some(&ada), Some(&can)] {
        let headers: Vec<(&str, &str)> = caller
            .iter()
            .map(|token| ("authorization", token.as_str()))
            .collect();
        for left in ["2", "1", "0"] {
            let answer = edge.get("/api/v1/courses", &headers).await;
            assert_eq!(
                (answer.status, answer.header("x-ratelimit-remaining")),
                (200, Some(left))
            );
            assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
            assert_eq!(
                answer.header("ratelimit-policy"),
                Some("\"api_read\";q=3;w=10800")
            );
            assert!(
                answer
                    .header("ratelimit")
                    .is_some_and(|text| text.starts_with(&format!("\"api_read\";r={left};t=")))
            );
        }
        let refused = edge.get("/api/v1/courses", &headers).await;
        refused.check_problem(429, "rate_limited");
        let after: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((3_500..=3_600).contains(&after), "{after}");
        assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    }
    assert_eq!(edge.get("/health", &[]).await.status, 200);
}

#[tokio::test]
async fn the_edge_limits_an_address_before_any_class() {
    let edge = Edge::start_with(Options {
        settings: &[
            ("RATELIMIT_ENABLED", "true"),
            ("SC_RATELIMIT__EDGE__CAPACITY", "2"),
            ("SC_RATELIMIT__EDGE__REFILL", "1"),
            ("SC_RATELIMIT__EDGE__PERIOD_SECONDS", "3600"),
        ],
        ..Options::default()
    })
    .await;
    let statuses = [edge.token(&[]), edge.token(&[]), edge.token(&[])].map(|token| {
        let edge = &edge;
        async move { edge.get("/api/v1/courses", &[("authorization", &token)]).await }
    });
    let answers = futures::future::join_all(statuses).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].header("ratelimit-policy"), Some("\"edge\";q=2;w=7200"));
}

#[tokio::test]
async fn over_the_concurrency_limit_the_answer_is_immediate() {
    let edge = Edge::start_with(Options {
        settings: &[("SC_HTTP__MAX_IN_FLIGHT", "1")],
        ..Options::default()
    })
    .await;
    let held = edge
        .client
        .get(edge.url(&format!("/api/v1/courses/{HELD}")))
        .send();
    let held = tokio::spawn(held);
    eventually(PATIENCE, || async {
        (!edge.seen.calls::<GetCourse>().is_empty()).then_some(())
    })
    .await;
    let shed = edge.get("/api/v1/courses", &[]).await;
    shed.check_problem(503, "overloaded");
    assert_eq!(shed.header("retry-after"), Some("1"));
    assert_eq!(edge.get("/health/live", &[]).await.status, 200);
    edge.seen.release.notify_one();
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
    tokio::time::timeout(Duration::from_secs(20), async {
        while edge.get("/api/v1/courses", &[]).await.status != 200 {}
    })
    .await
    .unwrap();
}
