//! Addresses that are not what they seem.

use contracts::catalog::v1::rpc::{GetCourse, ListCourses};
use futures::future::join_all;

use super::edge::Edge;
use super::raw::{QUICK, head, say, statuses, under};

#[tokio::test(flavor = "multi_thread")]
async fn an_address_means_one_thing() {
    let edge = Edge::start_with(QUICK).await;
    let long = |length| "a".repeat(length);
    let many: Vec<String> = (0..10_000).map(|number| format!("p{number}=1&")).collect();
    let many = many.concat();
    let same = "page_size=1&".repeat(5_000);
    let cases: Vec<(String, &[u16])> = [
        ("//", &[404][..]),
        ("//api/v1/courses", &[404]),
        ("/api//v1/courses", &[404]),
        ("/api/v1/courses/", &[404]),
        ("/api/v1/courses//", &[404]),
        ("/api/v1/./courses", &[404]),
        ("/api/v1/users/../courses", &[404]),
        ("/api/v1/users/%2e%2e/courses", &[404]),
        ("/api/v1/users/.%2e/courses", &[404]),
        ("/../../etc/passwd", &[404]),
        ("/%2e%2e/%2e%2e/etc/passwd", &[404]),
        ("/docs/../../Cargo.toml", &[404]),
        ("/docs/%2e%2e%2f%2e%2e%2fCargo.toml", &[404]),
        ("/docs/..\\..\\Cargo.toml", &[400, 404]),
        ("/api/v1/courses%00", &[404]),
        ("/api/v1/courses%2f", &[404]),
        ("/api/v1/courses%ff", &[404]),
        ("/api/v1/courses;a=b", &[404]),
        ("/API/V1/COURSES", &[404]),
        ("/api/v1/%63ourses", &[404]),
        ("/api/v1/courses/%00", &[422]),
        ("/api/v1/courses/%ff", &[400]),
        ("/api/v1/courses/%", &[422, 400]),
        ("/api/v1/courses/%zz", &[422, 400]),
        ("/api/v1/courses/%2e%2e", &[422]),
        ("/api/v1/courses/..", &[422]),
        ("/api/v1/courses/%c0%af", &[400]),
        ("/api/v1/courses/%25%30%30", &[422]),
        ("/api/v1/courses/{id}", &[400, 422]),
        ("/api/v1/courses/' OR 1=1", &[400]),
        ("/api/v1/courses/0193b2a4-6c3e-7b1a-9f00-000000000001%20", &[422]),
        ("/api/v1/courses/0193b2a46c3e7b1a9f00000000000001", &[422]),
        (
            "/api/v1/courses/{0193b2a4-6c3e-7b1a-9f00-000000000001}",
            &[400, 422],
        ),
        ("/api/v1/courses?page_size=1&page_size=2", &[400, 422]),
        ("/api/v1/courses?page_size=1;q=2", &[400, 422]),
        ("/api/v1/courses?page_size", &[200]),
        ("/api/v1/courses?=1", &[400]),
        ("/api/v1/courses?q=%00", &[422]),
        ("/api/v1/courses?q=%ff", &[400]),
        ("/api/v1/courses?q=%c0%af", &[400]),
        ("/api/v1/courses?%71=a&q=b", &[400, 422]),
        ("/api/v1/courses?q[]=a", &[400]),
        ("/api/v1/courses?page_size=1e3", &[400, 422]),
        ("/api/v1/courses?page_size=+1", &[400, 422]),
        ("/api/v1/courses?page_size=99999999999999999999", &[400, 422]),
        ("/api/v1/courses?include_drafts=maybe", &[400, 422]),
        ("*", &[400, 404]),
        ("x", &[400, 404]),
        ("http://", &[400]),
        ("/\u{7f}", &[400]),
        ("/şğ", &[400, 404]),
    ]
    .iter()
    .map(|(path, expected)| ((*path).to_owned(), *expected))
    .chain([
        (format!("/{}", long(20_000)), &[404][..]),
        (format!("/{}", long(64 << 10)), &[414, 431]),
        (format!("/{}", long(1 << 20)), &[414, 431]),
        (format!("/{}", "a/".repeat(20_000)), &[404]),
        (format!("/api/v1/courses?q={}", long(20_000)), &[422]),
        (format!("/api/v1/courses?q={}", long(64 << 10)), &[414, 431]),
        (format!("/api/v1/courses?{}", &many[..60_000]), &[400, 422]),
        (format!("/api/v1/courses?{many}"), &[414, 431]),
        (format!("/api/v1/courses?{same}"), &[400, 422]),
        (format!("/api/v1/courses?{}", "&".repeat(50_000)), &[200]),
        (format!("/api/v1/courses?{}", "%41".repeat(20_000)), &[400]),
    ])
    .collect();
    let asks = cases.iter().map(|(path, _)| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let edge = &edge;
        async move { say(edge.address, request.as_bytes()).await }
    });
    let before = edge.seen.calls::<GetCourse>().len();
    let heard = under(&edge, join_all(asks)).await;
    let mut wrong = Vec::new();
    for ((path, expected), heard) in cases.iter().zip(&heard) {
        let found = statuses(heard);
        let is_right = matches!(found.as_slice(), [one] if expected.contains(one));
        // What cannot be read at all is refused before there is a request to describe a problem of.
        let is_described = head(heard).contains("content-length: 0")
            || found == [200]
            || head(heard).contains("content-type: application/problem+json");
        if !is_right || !is_described {
            wrong.push(format!(
                "{path:.80}: {found:?} instead of {expected:?}: {}",
                head(heard)
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert_eq!(edge.seen.calls::<GetCourse>().len(), before);
    assert!(!edge.seen.calls::<ListCourses>().is_empty());
}
