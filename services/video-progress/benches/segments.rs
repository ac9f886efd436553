//! A report of a player on top of what was watched: in one piece, and in hundreds by somebody who jumped about.
#![expect(unused, reason = "all rules of the service are taken in, for one of them")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use time::{Duration, OffsetDateTime};

// A service shows nothing of its inside: its rules come as their source.
#[path = "../src"]
mod rules {
    pub mod domain;
}

use rules::domain;

use domain::watched::{Report, Segments, Watched};

const VIDEO_SECONDS: i32 = 36_000;

fn segments(criterion: &mut Criterion) {
    let now = OffsetDateTime::UNIX_EPOCH + Duration::hours(10);
    let mut group = criterion.benchmark_group("report of 15 watched seconds");
    for pieces in [1, 20, 500] {
        let watched = Watched {
            segments: Segments::of((0..pieces).map(|piece| (piece * 60, piece * 60 + 30))),
            ..Watched::new(OffsetDateTime::UNIX_EPOCH)
        };
        let start = (pieces - 1) * 60 + 25;
        let report = Report {
            segments: vec![(start, start + 15)],
            position: Some(start + 15),
            ..Report::default()
        };
        group.bench_function(BenchmarkId::new("pieces watched", pieces), |bencher| {
            bencher.iter(|| black_box(&watched).after(black_box(&report), VIDEO_SECONDS, now));
        });
    }
    group.finish();
}

criterion_group!(benches, segments);
criterion_main!(benches);
