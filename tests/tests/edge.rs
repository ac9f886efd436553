//! The edge: every error is a problem document, and Redis may be away or frozen.

use dev_stack::servers::PrivateRedis;
use journeys::api::text;
use journeys::people::{PASSWORD, admin, student};
use journeys::{Answer, Stack, StackOptions};
use reqwest::Method;
use serde_json::json;

fn check_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    for member in [
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "code",
        "request_id",
        "errors",
    ] {
        assert!(
            !answer.body[member].is_null(),
            "{member} is missing: {}",
            answer.body
        );
    }
    assert_eq!(answer.body["request_id"].as_str(), answer.header("x-request-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_problem_document() {
    let stack = Stack::start().await;
    let api = stack.api();
    let json = [("content-type", "application/json")];
    check_problem(&api.get("/nowhere").await, 404, "route_not_found");
    let wrong_verb = api.send(Method::PUT, "/api/v1/courses", None, &[]).await;
    check_problem(&wrong_verb, 405, "method_not_allowed");
    assert!(
        wrong_verb
            .header("allow")
            .is_some_and(|allow| allow.contains("GET"))
    );
    check_problem(&api.get("/api/v1/users/me").await, 401, "unauthenticated");
    check_problem(
        &api.with_token("nonsense").get("/api/v1/users/me").await,
        401,
        "invalid_token",
    );
    check_problem(
        &api.get("/api/v1/courses?page_size=0").await,
        422,
        "validation_failed",
    );
    check_problem(
        &api.get("/api/v1/courses?nonsense=1").await,
        400,
        "unknown_parameter",
    );
    check_problem(
        &api.get("/api/v1/courses?page_token=AAAA").await,
        400,
        "invalid_page_token",
    );
    check_problem(
        &api.get("/api/v1/courses/0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10")
            .await,
        404,
        "not_found",
    );
    let form = api
        .send(
            Method::POST,
            "/api/v1/auth/login",
            Some(json!({})),
            &[("content-type", "text/plain")],
        )
        .await;
    assert!(
        [415, 400].contains(&form.status) || form.status == 401,
        "{}",
        form.body
    );
    check_problem(
        &api.post(
            "/api/v1/auth/login",
            json!({"email": "a@b.co", "password": "x".repeat(2 << 20)}),
        )
        .await,
        413,
        "payload_too_large",
    );
    check_problem(
        &api.post("/api/v1/auth/login", json!({"email": "a\u{0}", "password": "x"}))
            .await,
        422,
        "validation_failed",
    );
    check_problem(
        &api.post(
            "/api/v1/auth/login",
            json!({"email": "nobody@example.edu", "password": "x"}),
        )
        .await,
        401,
        "invalid_credentials",
    );
    check_problem(
        &api.post("/api/v1/auth/register", json!({"email": "x"})).await,
        422,
        "validation_failed",
    );
    let turkish = api
        .send(Method::GET, "/nowhere", None, &[("accept-language", "tr")])
        .await;
    assert_eq!(turkish.body["title"], "Bu adreste bir şey yok.");
    let named = api
        .send(
            Method::GET,
            "/nowhere",
            None,
            &[("x-request-id", "my-id.1"), json[0]],
        )
        .await;
    assert_eq!(named.header("x-request-id"), Some("my-id.1"));

    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(named.header(name), Some(value));
    }
    let document = api.get("/openapi.json").await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(api.get("/docs").await.status, 200);
    for path in [
        "/health",
        "/health/live",
        "/health/ready",
        "/api/health/",
        "/api/health/ready/",
        "/ready/",
        "/live/",
    ] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_refuse_with_headers_that_say_when_to_come_back() {
    let environment = vec![("RATELIMIT_ENABLED".to_owned(), "true".to_owned())];
    let stack = Stack::start_with(StackOptions {
        environment,
        ..StackOptions::default()
    })
    .await;
    let body = json!({"email": "nobody@example.edu", "password": "wrong password"});
    let attempts = (0..8).map(|_| async { stack.api().post("/api/v1/auth/login", body.clone()).await });
    let answers = futures::future::join_all(attempts).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert_eq!(refused.len(), 3);
    for answer in refused {
        check_problem(answer, 429, "rate_limited");
        assert!(
            answer
                .header("retry-after")
                .is_some_and(|after| after.parse::<u32>().is_ok_and(|s| (1..=60).contains(&s)))
        );
        assert_eq!(answer.header("x-ratelimit-limit"), Some("5"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_makes_a_repetition_safe() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let key = [("idempotency-key", "create-1")];
    let body = json!({"title": "Once"});
    let create = || {
        boss.api
            .send(Method::POST, "/api/v1/courses", Some(body.clone()), &key)
    };
    let first = create().await;
    assert_eq!(first.header("idempotent-replayed"), None);
    let first = first.expect(201);
    let again = create().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(201)["id"], first["id"]);
    let other = boss
        .api
        .send(
            Method::POST,
            "/api/v1/courses",
            Some(json!({"title": "Other"})),
            &key,
        )
        .await;
    check_problem(&other, 422, "idempotency_key_reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_before_signing_in_and_for_secrets() {
    let stack = Stack::start().await;
    let key = [("idempotency-key", "5f0c2a86-6c0e-4b1b-9d6e-3a4f5f7d1c11")];
    let api = stack.api();
    let ada = json!({"email": "ada@journey.test", "password": PASSWORD, "full_name": "Ada"});
    let send =
        async |path, body: &serde_json::Value| api.send(Method::POST, path, Some(body.clone()), &key).await;
    let register = "/api/v1/auth/register";
    let first = send(register, &ada).await;
    assert_eq!(first.header("location"), Some("/api/v1/users/me"));
    let again = send(register, &ada).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("location"), Some("/api/v1/users/me"));
    assert_eq!(again.expect(201), first.expect(201));
    let mut other = ada.clone();
    other["password"] = json!("another long secret");
    check_problem(&send(register, &other).await, 422, "idempotency_key_reused");

    // Each sign-in is one of its own.
    let login = json!({"email": "ada@journey.test", "password": PASSWORD});
    let (one, two) = (
        send("/api/v1/auth/login", &login).await,
        send("/api/v1/auth/login", &login).await,
    );
    assert_eq!(two.header("idempotent-replayed"), None);
    assert_ne!(one.expect(200)["refresh_token"], two.expect(200)["refresh_token"]);

    let boss = admin(&stack).await;
    let account = json!({"name": "Registrar", "permissions": ["users:read"]});
    let create = async || {
        let body = Some(account.clone());
        boss.api
            .send(Method::POST, "/api/v1/service-accounts", body, &key)
            .await
    };
    let first = create().await.expect(201);
    let again = create().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let at = format!(
        "/api/v1/service-accounts/{}",
        text(&first["service_account"], "id")
    );
    assert_eq!(again.header("location"), Some(at.as_str()));
    let again = again.expect(201);
    assert!(
        again["client_secret"]
            .as_str()
            .is_some_and(|secret| !secret.is_empty())
    );
    assert_eq!(again, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_redis_may_freeze_or_die() {
    let folder = tempfile::tempdir().unwrap();
    let redis = PrivateRedis::start(folder.path()).unwrap();
    let environment = vec![("RATELIMIT_ENABLED".to_owned(), "true".to_owned())];
    let stack = Stack::start_with(StackOptions {
        environment,
        redis: Some(redis.url()),
        ..StackOptions::default()
    })
    .await;
    let ada = student(&stack, "ada").await;
    redis.freeze();
    for _ in 0..20 {
        ada.api.get("/api/v1/users/me").await.expect(200);
        stack.api().get("/api/v1/courses").await.expect(200);
    }
    redis.thaw();
    redis.stop();
    for _ in 0..20 {
        ada.api.get("/api/v1/users/me").await.expect(200);
    }
    // A sign-out holds without Redis too.
    ada.api.post("/api/v1/auth/logout", json!({})).await.expect(204);
    stack
        .eventually(|| async { (ada.api.get("/api/v1/users/me").await.status == 401).then_some(()) })
        .await;
}
