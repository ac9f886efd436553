//! JSON of messages: a page of 20 courses out, an answer in.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has failed")]

use std::hint::black_box;

use contracts::catalog::v1::{Course, ListCoursesResponse};
use contracts::exam::v1::SaveAnswerRequest;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pbjson_types::Timestamp;
use prost::Message;

fn page() -> ListCoursesResponse {
    let at = Some(Timestamp {
        seconds: 1_795_880_000,
        nanos: 123_456_000,
    });
    let course = |number: i32| Course {
        id: format!("0193b2a4-6c3e-7b1a-9f00-3f5f1f0d{number:04}"),
        title: format!("İstanbul Tarihi {number}"),
        description: "Haftada iki saat. Konular örneklerle anlatılır, her konunun sonunda bir sınav vardır. "
            .repeat(3),
        teacher_id: "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a11".into(),
        teacher_name: "Deniz Öğretmen".into(),
        code: "MAT101".into(),
        academic_year: "2026-2027".into(),
        is_published: true,
        video_count: 12,
        duration_seconds: 14_400,
        version: number,
        created_at: at,
        updated_at: at,
        published_at: at,
        ..Course::default()
    };
    ListCoursesResponse {
        courses: (0..20).map(course).collect(),
        next_page_token: "eyJhZnRlciI6IjAxOTNiMmE0In0".into(),
    }
}

fn json(criterion: &mut Criterion) {
    let (page, protobuf) = (page(), page().encode_to_vec());
    let text = serde_json::to_vec(&page).unwrap();
    let mut group = criterion.benchmark_group("page of 20 courses");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("message to JSON", |bencher| {
        bencher.iter(|| serde_json::to_vec(black_box(&page)).unwrap());
    });
    group.bench_function("JSON to message", |bencher| {
        bencher.iter(|| serde_json::from_slice::<ListCoursesResponse>(black_box(&text)).unwrap());
    });
    group.bench_function("protobuf to message", |bencher| {
        bencher.iter(|| ListCoursesResponse::decode(black_box(protobuf.as_slice())).unwrap());
    });
    group.bench_function("protobuf to JSON", |bencher| {
        bencher.iter(|| {
            let page = ListCoursesResponse::decode(black_box(protobuf.as_slice())).unwrap();
            serde_json::to_vec(&page).unwrap()
        });
    });
    group.finish();

    let body = br#"{"sequence":17,"option_ids":["0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10"]}"#;
    criterion.bench_function("body of an answer to message", |bencher| {
        bencher.iter(|| contracts::rest::body::<SaveAnswerRequest>(black_box(body)).unwrap());
    });
}

criterion_group!(benches, json);
criterion_main!(benches);
