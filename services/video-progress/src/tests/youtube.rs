use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::routing::get;
use parking_lot::Mutex;

use super::*;
use crate::config::YouTubeSettings;
use crate::storage::metadata;
use crate::storage::videos::Video;
use crate::tasks::{FetchMetadata, tasks};
use crate::usecases::sync_metadata::{MetadataSync, Wanted};
use crate::youtube::YouTube;
use event_bus::Relay;
use postgres::WriteError;
use task_queue::{TaskError, WorkerSettings, Workers, enqueue};
use test_support::{TestBroker, eventually};
use tokio_util::sync::CancellationToken;

/// A YouTube of our own: it answers as told, and remembers what it was asked for.
#[derive(Default)]
struct Stub {
    asked: Mutex<Vec<String>>,
    answers: Mutex<Vec<(u16, String)>>,
    count: AtomicUsize,
}

async fn serve(State(stub): State<Arc<Stub>>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    stub.asked.lock().push(query.unwrap_or_default());
    stub.count.fetch_add(1, Ordering::SeqCst);
    let (status, body) = stub
        .answers
        .lock()
        .pop()
        .unwrap_or((200, r#"{"items": []}"#.into()));
    (StatusCode::from_u16(status).unwrap(), body)
}

async fn sync(cinema: &Cinema) -> (MetadataSync, Arc<Stub>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let stub = Arc::new(Stub::default());
    let router = Router::new()
        .route("/videos", get(serve))
        .with_state(Arc::clone(&stub));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = YouTubeSettings {
        api_key: "key".into(),
        base_url,
        sync_hours: 6,
    };
    let youtube = YouTube::new(&settings).unwrap().unwrap();
    (
        MetadataSync::new(cinema.app.db.clone(), cinema.clock.clone(), youtube),
        stub,
    )
}

fn video(cinema: &Cinema, id: VideoId, youtube_id: &str) -> Video {
    Video {
        id,
        version: 1,
        course_id: cinema.course,
        youtube_id: youtube_id.into(),
        title: "Video".into(),
        duration_seconds: 0,
        order_index: 0,
        is_deleted: false,
    }
}

async fn keep(cinema: &Cinema, youtube_id: &str) -> VideoId {
    let id = cinema.video(0).await;
    let now = cinema.clock.now();
    let mut connection = cinema.app.db.pool().acquire().await.unwrap();
    let told = [video(cinema, id, youtube_id)];
    metadata::keep_all(&mut *connection, &told).await.unwrap();
    sqlx::query("UPDATE video_progress.metadata SET due_at = $1 WHERE video_id = $2")
        .bind(now)
        .bind(id)
        .execute(&mut *connection)
        .await
        .unwrap();
    id
}

/// Asks for one batch of what is due and stores what is told; gives how many videos it was.
async fn round(cinema: &Cinema, sync: &MetadataSync) -> Result<usize, TaskError> {
    let Some(told) = sync.ask(Wanted::Due).await? else {
        return Ok(0);
    };
    let stored = cinema.app.db.write::<_, WriteError, _, _>(|mut tx| async move {
        told.store(&mut tx).await?;
        tx.commit(told.count()).await
    });
    Ok(stored.await.unwrap())
}

fn waits(outcome: Result<usize, TaskError>) -> Duration {
    match outcome {
        Err(TaskError::NotNow { after, .. }) => after,
        other => panic!("{other:?}"),
    }
}

const TOLD: &str = "SELECT count(*) FROM video_progress.outbox WHERE type = 'video.metadata_fetched'";

#[tokio::test]
async fn new_videos_are_asked_for_in_batches_and_each_answer_is_told() {
    let cinema = Cinema::open().await;
    let (sync, stub) = sync(&cinema).await;
    for number in 0..60 {
        keep(&cinema, &format!("video-{number:05}")).await;
    }
    keep(&cinema, "'; DROP TAB").await;
    let mut rounds = Vec::new();
    while let count @ 1.. = round(&cinema, &sync).await.unwrap() {
        rounds.push(count);
    }
    assert_eq!(rounds, [50, 11]);
    let asked = stub.asked.lock().join("&");
    assert_eq!(
        (asked.matches("video-").count(), asked.contains("DROP")),
        (60, false)
    );
    assert_eq!(
        cinema
            .count("SELECT count(*) FROM video_progress.metadata WHERE status = 'gone'")
            .await,
        61
    );
    assert_eq!(cinema.count(TOLD).await, 61);
    // The schedule has all asked for again.
    cinema.clock.advance(Duration::from_hours(6));
    assert_eq!(round(&cinema, &sync).await.unwrap(), 0);
    let due = metadata::all_due(cinema.app.db.primary(), cinema.clock.now()).await;
    assert_eq!(due.unwrap(), 61);
    while round(&cinema, &sync).await.unwrap() > 0 {}
    assert_eq!(
        (stub.count.load(Ordering::SeqCst), cinema.count(TOLD).await),
        (4, 122)
    );
}

#[tokio::test]
async fn what_is_new_or_another_one_is_asked_for_and_nothing_deleted() {
    let cinema = Cinema::open().await;
    let mut videos = [
        video(&cinema, cinema.video(0).await, "aaaaaaaaaaa"),
        video(&cinema, cinema.video(0).await, "bbbbbbbbbbb"),
    ];
    let primary = cinema.app.db.primary();
    let unknown = metadata::keep_all(primary, &videos).await.unwrap();
    assert_eq!(unknown.len(), 2);
    let unknown = metadata::keep_all(primary, &videos).await.unwrap();
    assert!(unknown.is_empty(), "{unknown:?}");
    videos[0].is_deleted = true;
    videos[1].youtube_id = "ccccccccccc".into();
    let unknown = metadata::keep_all(primary, &videos).await.unwrap();
    assert_eq!(unknown, [videos[1].id]);
    let kept = "SELECT count(*) FROM video_progress.metadata";
    assert_eq!(cinema.count(kept).await, 1);
}

#[tokio::test]
async fn a_used_up_quota_waits_and_a_broken_answer_loses_nothing() {
    let cinema = Cinema::open().await;
    let (sync, stub) = sync(&cinema).await;
    keep(&cinema, "abcdefghijk").await;
    let quota = r#"{"error": {"errors": [{"reason": "quotaExceeded"}], "code": 403}}"#;
    let found = r#"{"items": [{"id": "abcdefghijk", "snippet": {"title": "T"}, "contentDetails": {"duration": "PT2M"}}]}"#;
    *stub.answers.lock() = vec![(200, found.into()), (200, "<html>".into()), (403, quota.into())];
    assert_eq!(waits(round(&cinema, &sync).await), Duration::from_hours(1));
    assert_eq!(
        waits(round(&cinema, &sync).await),
        Duration::from_hours(1),
        "not asked again"
    );
    assert_eq!(stub.count.load(Ordering::SeqCst), 1);
    cinema.clock.advance(Duration::from_hours(1));
    let unreadable = round(&cinema, &sync).await;
    assert!(
        matches!(unreadable, Err(TaskError::Transient(_))),
        "{unreadable:?}"
    );
    assert_eq!(round(&cinema, &sync).await.unwrap(), 1);
    let known =
        "SELECT count(*) FROM video_progress.metadata WHERE status = 'available' AND duration_seconds = 120";
    assert_eq!((cinema.count(known).await, cinema.count(TOLD).await), (1, 1));
}

/// As when a teacher adds a course's worth of videos: each has a task, and few calls answer all of them.
#[tokio::test(flavor = "multi_thread")]
async fn new_videos_are_asked_for_in_the_background_many_a_call() {
    let (cinema, broker) = tokio::join!(Cinema::open(), TestBroker::new());
    let (sync, stub) = sync(&cinema).await;
    let mut videos = Vec::new();
    for number in 0..120 {
        videos.push(keep(&cinema, &format!("video-{number:05}")).await);
    }
    let enqueued = cinema.app.db.write::<_, WriteError, _, _>(|mut tx| async move {
        for video_id in videos {
            enqueue(&mut tx, &FetchMetadata { video_id }).await?;
        }
        tx.commit(()).await
    });
    enqueued.await.unwrap();
    let (stop, bus) = (CancellationToken::new(), broker.bus("video_progress"));
    let settings = WorkerSettings {
        high: 1,
        default: 2,
        low: 1,
        lease_seconds: 60,
    };
    let db = cinema.app.db.clone();
    let workers = Workers::new(
        db.clone(),
        bus.clone(),
        tasks(sync),
        "here",
        settings,
        stop.clone(),
    );
    let running = tokio::spawn(futures::future::join(
        workers.run(),
        Relay::new(db, bus).run(stop.clone()),
    ));
    eventually(Duration::from_mins(1), || async {
        let done = "SELECT count(*) FROM video_progress.tasks WHERE state = 'succeeded'";
        (cinema.count(done).await == 120).then_some(())
    })
    .await;
    stop.cancel();
    running.await.unwrap();
    let unknown = "SELECT count(*) FROM video_progress.metadata WHERE status IS NULL";
    assert_eq!((cinema.count(unknown).await, cinema.count(TOLD).await), (0, 120));
    // Two workers, fifty a call: three calls, and few more where both asked at the same moment.
    let calls = stub.count.load(Ordering::SeqCst);
    assert!((3..=8).contains(&calls), "{calls} calls");
}
