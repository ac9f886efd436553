//! Answers of services as HTTP: status, Location, entity tags, compression.

use contracts::catalog::v1::rpc::GetCourse;

use super::backend::FOUND;
use super::edge::Edge;

const CATEGORIES: &str = "/api/v1/categories";

#[tokio::test]
async fn a_known_answer_is_304_and_head_has_no_body() {
    let edge = Edge::start().await;
    for path in [
        format!("/api/v1/courses/{FOUND}"),
        "/openapi.json".into(),
        "/docs/swagger-ui-bundle.js".into(),
    ] {
        let first = edge.get(&path, &[]).await;
        let tag = first.header("etag").unwrap().to_owned();
        assert_eq!((first.status, first.bytes.is_empty()), (200, false), "{path}");
        for known in [
            tag.clone(),
            tag.trim_start_matches("W/").to_owned(),
            format!("\"other\", {tag}"),
            "*".into(),
        ] {
            let again = edge.get(&path, &[("if-none-match", &known)]).await;
            assert_eq!(
                (again.status, again.bytes.len(), again.header("etag")),
                (304, 0, Some(&*tag)),
                "{path} {known}"
            );
        }
        assert_eq!(
            edge.get(&path, &[("if-none-match", "\"other\"")]).await.status,
            200
        );
        let head = edge.send("HEAD", &path, &[], b"").await;
        assert_eq!(
            (head.status, head.bytes.len(), head.header("etag")),
            (200, 0, Some(&*tag))
        );
    }
}

#[tokio::test]
async fn answers_say_whether_they_may_be_kept() {
    let edge = Edge::start().await;
    let shared = edge.get(CATEGORIES, &[]).await;
    assert_eq!(shared.header("cache-control"), Some("private, no-cache"));
    let vary: Vec<_> = shared
        .headers
        .get_all("vary")
        .iter()
        .map(|value| value.to_str().unwrap().to_lowercase())
        .collect();
    assert!(vary.join(",").contains("authorization"), "{vary:?}");
    let body = br#"{"email":"a@b.co","password":"x"}"#;
    let login = edge
        .send(
            "POST",
            "/api/v1/auth/login",
            &[("content-type", "application/json")],
            body,
        )
        .await;
    assert_eq!(
        (login.status, login.header("cache-control"), login.header("etag")),
        (200, Some("no-store"), None)
    );
}

#[tokio::test]
async fn creating_says_where_and_a_replay_says_so() {
    let edge = Edge::start().await;
    let token = edge.token(&["courses:write"]);
    let create = |key: &'static str| {
        let headers = [
            ("authorization", token.clone()),
            ("content-type", "application/json".into()),
            ("idempotency-key", key.into()),
        ];
        let edge = &edge;
        async move {
            let headers: Vec<(&str, &str)> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            edge.send("POST", "/api/v1/courses", &headers, br#"{"title":"Matematik"}"#)
                .await
        }
    };
    let first = create("once").await;
    let location = format!("/api/v1/courses/{FOUND}");
    assert_eq!((first.status, first.header("location")), (201, Some(&*location)));
    assert_eq!(
        (
            first.json()["title"].as_str(),
            first.header("idempotent-replayed")
        ),
        (Some("Matematik"), None)
    );
    let again = create("again").await;
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (200, Some("true"))
    );

    let token = [("authorization", token.as_str())];
    let ended = edge.send("POST", "/api/v1/auth/logout", &token, b"").await;
    assert_eq!(
        (ended.status, ended.bytes.len(), ended.header("content-type")),
        (204, 0, None)
    );
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_accept_it() {
    let edge = Edge::start().await;
    let plain = edge.get(CATEGORIES, &[]).await;
    assert_eq!(plain.header("content-encoding"), None);
    for encoding in ["gzip", "br"] {
        let small = edge.get(CATEGORIES, &[("accept-encoding", encoding)]).await;
        assert_eq!(small.header("content-encoding"), Some(encoding));
        assert!(small.bytes.len() < plain.bytes.len() / 2);
    }
    let short = edge.get("/health", &[("accept-encoding", "gzip")]).await;
    assert_eq!(short.header("content-encoding"), None);
}

#[tokio::test]
async fn the_document_and_its_viewer_are_served_without_another_host() {
    let edge = Edge::start().await;
    assert_eq!(edge.get("/openapi.json", &[]).await.json()["openapi"], "3.1.0");
    let page = edge.get("/docs", &[]).await;
    let html = String::from_utf8(page.bytes.clone()).unwrap();
    assert!(!html.contains("http") && !html.contains("<script>"), "{html}");
    let links = html.split('"').filter(|part| part.starts_with("/docs/"));
    let links: Vec<&str> = links.collect();
    assert_eq!(links.len(), 3);
    for link in links {
        assert_eq!(edge.get(link, &[]).await.status, 200, "{link}");
    }
}

/// `services/notification/src/app/links.rs` writes these addresses into mails.
#[tokio::test]
async fn links_with_a_token_lead_to_pages() {
    let edge = Edge::start().await;
    for (page, route) in [
        ("/verify-email", "/api/v1/auth/verify-email"),
        ("/confirm-email", "/api/v1/auth/confirm-email"),
        ("/reset-password", "/api/v1/auth/password-reset/confirm"),
    ] {
        let html = String::from_utf8(edge.get(page, &[]).await.bytes).unwrap();
        assert!(html.contains(&format!("data-path=\"{route}\"")), "{page}");
        let known = contracts::METHODS
            .iter()
            .any(|method| method.http.is_some_and(|http| http.path == route));
        assert!(known, "{route}");
    }
    let (front, docs) = (edge.get("/", &[]).await, edge.get("/docs", &[]).await);
    assert_eq!((front.status, front.bytes), (200, docs.bytes), "it leads there");
}

#[tokio::test]
async fn who_is_signed_in_is_not_told_to_sign_in() {
    let edge = Edge::start().await;
    let drafts = "/api/v1/courses?include_drafts=true";
    edge.get(drafts, &[]).await.check_problem(401, "unauthenticated");
    let student = edge.token(&["enrollments:enroll"]);
    edge.get(drafts, &[("authorization", &student)])
        .await
        .check_problem(403, "permission_denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_same_for_everybody_is_asked_for_once_until_it_is_written() {
    let edge = Edge::start().await;
    let path = format!("/api/v1/courses/{FOUND}");
    let calls = || edge.seen.calls::<GetCourse>().len();
    let student = edge.token(&["enrollments:enroll"]);
    let teacher = edge.token(&["courses:write"]);
    let crowd = (0..200).map(|number| {
        let own = [("authorization", student.as_str())];
        let (edge, path) = (&edge, &path);
        async move { edge.get(path, if number % 2 == 0 { &own } else { &[] }).await }
    });
    let answers = futures::future::join_all(crowd).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.bytes == answers[0].bytes)
    );
    let crowd = calls();
    assert!((1..20).contains(&crowd), "{crowd} calls for 200 requests");
    assert!(
        edge.seen
            .calls::<GetCourse>()
            .iter()
            .all(|headers| !headers.contains_key("authorization")),
        "what all get is asked for in nobody's name"
    );
    // Who may write sees what is written, each time.
    for more in 1..4 {
        assert_eq!(edge.get(&path, &[("authorization", &teacher)]).await.status, 200);
        assert_eq!(calls(), crowd + more);
    }
    let body = br#"{"title":"T"}"#;
    let own = [
        ("authorization", teacher.as_str()),
        ("content-type", "application/json"),
    ];
    assert_eq!(edge.send("POST", "/api/v1/courses", &own, body).await.status, 201);
    edge.get(&path, &[]).await;
    assert!(calls() > crowd + 3, "a write makes what was kept unreachable");
    // Nobody is kept out of the count: a token that is not valid is refused as ever.
    assert_eq!(
        edge.get(&path, &[("authorization", "Bearer nonsense")])
            .await
            .status,
        401
    );
}
