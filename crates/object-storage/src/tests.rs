use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use clock::Clock;
use parking_lot::Mutex;
use serde_json::json;

use super::*;

fn settings(location: &str, endpoint: &str) -> StorageSettings {
    let secret = if endpoint.is_empty() { "" } else { "a secret" };
    serde_json::from_value(json!({
        "location": location, "endpoint": endpoint, "region": "eu-central-1",
        "access_key_id": secret, "secret_access_key": secret,
    }))
    .unwrap()
}

/// A file of more than two pieces comes back as it was, and then it is gone.
async fn keeps_files(storage: &Storage) {
    assert_eq!(storage.read_part("reports/none", 0).await.unwrap(), None);
    let piece: Vec<u8> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
    let mut writer = storage.writer("reports/long");
    for _ in 0..9 {
        writer.write(piece.clone()).await.unwrap();
    }
    assert_eq!(
        storage.read_part("reports/long", 0).await.unwrap(),
        None,
        "not finished"
    );
    assert_eq!(writer.finish().await.unwrap(), 9 << 20);
    let (mut read, mut next, mut pieces) = (Vec::new(), Some(0), 0);
    while let Some(part) = next {
        let part = storage.read_part("reports/long", part).await.unwrap().unwrap();
        read.extend_from_slice(&part.content);
        next = part.next;
        pieces += 1;
    }
    assert!(read == piece.repeat(9) && pieces == 3);
    assert_eq!(storage.read_part("reports/long", 3).await.unwrap(), None);

    let mut writer = storage.writer("reports/short");
    writer.write(b"a,b\r\n".to_vec()).await.unwrap();
    writer.finish().await.unwrap();
    let part = storage.read_part("reports/short", 0).await.unwrap().unwrap();
    assert_eq!((&part.content[..], part.next), (&b"a,b\r\n"[..], None));

    let mut names = storage
        .names_before("reports", Clock::system().now() + time::Duration::hours(1))
        .await
        .unwrap();
    names.sort();
    assert_eq!(names, ["reports/long", "reports/short"]);
    let old = Clock::system().now() - time::Duration::hours(1);
    assert!(storage.names_before("reports", old).await.unwrap().is_empty());
    for name in ["reports/long", "reports/short", "reports/short"] {
        storage.delete(name).await.unwrap();
    }
    assert_eq!(storage.read_part("reports/long", 0).await.unwrap(), None);
}

#[tokio::test]
async fn a_folder_keeps_files() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("made/by/us");
    let storage = Storage::open(&settings(&place.display().to_string(), "")).unwrap();
    keeps_files(&storage).await;
    // A name cannot lead out of it.
    let mut writer = storage.writer("reports/../../escape");
    writer.write(b"x".to_vec()).await.unwrap();
    let _ = writer.finish().await;
    assert!(!folder.path().join("escape").exists() && !folder.path().join("made/escape").exists());
}

#[tokio::test]
async fn a_bucket_keeps_files() {
    let bucket = Bucket::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/sc-test", any(list))
        .route("/sc-test/{*key}", any(object))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(bucket.clone());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let storage = Storage::open(&settings("s3://sc-test/school/", &endpoint)).unwrap();
    keeps_files(&storage).await;
    assert!(bucket.0.lock().objects.is_empty());
    server.abort();
}

/// As much of S3 as is used, over the wire: signed requests, uploads in parts, ranges, lists.
#[derive(Clone, Default)]
struct Bucket(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    objects: HashMap<String, Vec<u8>>,
    parts: HashMap<(String, u32), Vec<u8>>,
}

type Parameters = Query<HashMap<String, String>>;

fn is_signed(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|value| {
        value
            .to_str()
            .is_ok_and(|text| text.starts_with("AWS4-HMAC-SHA256 Credential=a secret/"))
    })
}

fn xml(body: String) -> Response {
    ([("content-type", "application/xml")], body).into_response()
}

async fn list(
    State(bucket): State<Bucket>,
    Query(parameters): Parameters,
    method: axum::http::Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    assert!(is_signed(&headers));
    let mut content = bucket.0.lock();
    if method == "POST" && parameters.contains_key("delete") {
        // DeleteObjects.
        let text = String::from_utf8(body.to_vec()).unwrap();
        let keys: Vec<String> = text
            .split("<Key>")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned()))
            .collect();
        let mut deleted = String::new();
        for key in keys {
            content.objects.remove(&key);
            write!(deleted, "<Deleted><Key>{key}</Key></Deleted>").unwrap();
        }
        return xml(format!("<DeleteResult>{deleted}</DeleteResult>"));
    }
    let prefix = &parameters["prefix"];
    let mut entries = String::new();
    for (key, value) in content.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        let (at, size) = (stamp(), value.len());
        write!(
            entries,
            "<Contents><Key>{key}</Key><LastModified>{at}</LastModified><Size>{size}</Size><ETag>\"1\"</ETag></Contents>"
        )
        .unwrap();
    }
    xml(format!(
        "<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
    ))
}

fn stamp() -> String {
    let format = time::format_description::well_known::Rfc3339;
    Clock::system().now().format(&format).unwrap()
}

async fn object(
    State(bucket): State<Bucket>,
    UrlPath(key): UrlPath<String>,
    Query(parameters): Parameters,
    method: axum::http::Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    assert!(is_signed(&headers));
    let mut content = bucket.0.lock();
    let tagged = |status: StatusCode| (status, [("etag", "\"1\"")]).into_response();
    match (
        method.as_str(),
        parameters.get("partNumber"),
        parameters.get("uploadId"),
    ) {
        ("POST", _, None) => xml(
            "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>".into(),
        ),
        ("PUT", Some(number), Some(_)) => {
            content
                .parts
                .insert((key, number.parse().unwrap()), body.to_vec());
            tagged(StatusCode::OK)
        }
        ("POST", _, Some(_)) => {
            let mut parts: Vec<_> = content.parts.drain().filter(|((of, _), _)| *of == key).collect();
            parts.sort_by_key(|((_, number), _)| *number);
            let whole = parts.into_iter().flat_map(|(_, part)| part).collect();
            content.objects.insert(key, whole);
            xml("<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>".into())
        }
        ("PUT", ..) => {
            content.objects.insert(key, body.to_vec());
            tagged(StatusCode::OK)
        }
        ("DELETE", ..) => {
            content.objects.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        ("GET" | "HEAD", ..) => {
            let Some(found) = content.objects.get(&key).cloned() else {
                return StatusCode::NOT_FOUND.into_response();
            };
            let modified = "Fri, 15 Jan 2027 08:00:00 GMT";
            let common = [("etag", "\"1\""), ("last-modified", modified)];
            let range = headers.get("range").and_then(|value| value.to_str().ok());
            let Some((from, to)) = range.and_then(|text| text.strip_prefix("bytes=")?.split_once('-')) else {
                return (common, found).into_response();
            };
            let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
            let told = format!("bytes {from}-{to}/{}", found.len());
            let piece = found[from..=to].to_vec();
            (
                StatusCode::PARTIAL_CONTENT,
                common,
                [("content-range", told)],
                piece,
            )
                .into_response()
        }
        other => panic!("not of this bucket: {other:?}"),
    }
}
