//! The service on a real database, without its server.

mod youtube;

use std::sync::Arc;
use std::time::Duration;

use access_token::permissions::COURSES_WRITE;
use access_token::{Caller, User};
use clock::Clock;
use contracts::events::v1::VideoChanged;
use event_bus::{Delivery, HandlerError};
use futures::future::join_all;
use postgres::PageTokens;
use problem::Problem;
use roster::Roster;
use rpc_client::{RpcClient, RpcSettings};
use sqlx::AssertSqlSafe;
use test_support::{TestDatabase, count_queries, fixed_clock};
use typed_id::{CourseId, EventId, SessionId, UserId, VideoId};

use crate::app::VideoProgress;
use crate::config::Writes;
use crate::consumers;
use crate::domain::watched::Report;
use crate::usecases::complete_courses::after_changes;
use crate::usecases::course_progress::{of_caller, of_course, of_students};
use crate::usecases::get_embed::get_embed;
use crate::usecases::keep_videos::keep_videos;
use crate::usecases::report_progress::{VideoStatus, report_progress, status};
use crate::videos::Videos;

struct Cinema {
    app: VideoProgress,
    clock: Clock,
    course: CourseId,
    teacher: Caller,
    database: TestDatabase,
}

/// Nobody listens there.
fn nobody(name: &'static str) -> RpcClient {
    let settings: RpcSettings = serde_json::from_str(r#"{"timeout_seconds": 1, "connections": 1}"#).unwrap();
    RpcClient::new(name, "http://127.0.0.1:1", &settings, None).unwrap()
}

fn caller(id: UserId, clock: &Clock) -> Caller {
    Caller::User(Arc::new(User {
        id,
        session_id: SessionId::new(clock.now()),
        impersonator: None,
        token_id: String::new(),
        key_id: String::new(),
        roles: Vec::new(),
        // A student with it is nobody's teacher yet.
        permissions: vec![COURSES_WRITE.to_owned()].into(),
        issued_at: clock.now(),
        expires_at: clock.now() + time::Duration::hours(1),
    }))
}

/// A process of the service.
fn process(database: &TestDatabase, clock: &Clock) -> VideoProgress {
    let db = database.database_with(clock.clone());
    let roster = Roster::new(
        db.clone(),
        nobody("auth"),
        nobody("catalog"),
        nobody("enrollment"),
    );
    let writes = Writes {
        writers: 2,
        max_batch: 500,
    };
    let videos = Videos::new(db.clone(), nobody("catalog"));
    VideoProgress::new(
        db,
        clock.clone(),
        PageTokens::new(b"a key"),
        roster,
        videos,
        writes,
    )
}

impl Cinema {
    async fn open() -> Self {
        let (database, clock) = (TestDatabase::new("video_progress").await, fixed_clock());
        let app = process(&database, &clock);
        let (course, teacher) = (CourseId::new(clock.now()), UserId::new(clock.now()));
        let cinema = Self {
            teacher: caller(teacher, &clock),
            app,
            clock,
            course,
            database,
        };
        let sql = format!(
            "INSERT INTO video_progress.courses VALUES ('{course}', 1, 'Course', '{teacher}', true, false)"
        );
        cinema.execute(sql).await;
        cinema
    }

    async fn execute(&self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(self.app.db.primary())
            .await
            .unwrap();
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.app.db.primary())
            .await
            .unwrap()
    }

    async fn student(&self) -> Caller {
        let id = UserId::new(self.clock.now());
        let course = self.course;
        self.execute(format!(
            "INSERT INTO video_progress.enrollments VALUES ('{id}', '{course}', 1, 'active');
             INSERT INTO video_progress.users VALUES ('{id}', 1, 'Ada')"
        ))
        .await;
        caller(id, &self.clock)
    }

    async fn video(&self, seconds: i32) -> VideoId {
        let (id, course) = (VideoId::new(self.clock.now()), self.course);
        self.execute(format!(
            "INSERT INTO video_progress.videos VALUES ('{id}', 1, '{course}', 'abcdefghijk', 'Video', {seconds}, 0, false)"
        ))
        .await;
        id
    }

    async fn watch(
        &self,
        student: &Caller,
        video: VideoId,
        segments: &[(i32, i32)],
    ) -> Result<VideoStatus, Problem> {
        watch_in(&self.app, student, video, segments).await
    }
}

async fn watch_in(
    app: &VideoProgress,
    student: &Caller,
    video: VideoId,
    segments: &[(i32, i32)],
) -> Result<VideoStatus, Problem> {
    let report = Report {
        segments: segments.to_vec(),
        ..Report::default()
    };
    report_progress(app, student, video, report).await
}

fn seconds(status: Result<VideoStatus, Problem>) -> i32 {
    status.unwrap().progress.unwrap().watched.segments.seconds()
}

#[tokio::test]
async fn the_embed_is_for_members_and_both_outcomes_are_logged() {
    let cinema = Cinema::open().await;
    let (video, ada) = (cinema.video(100).await, cinema.student().await);
    let url = get_embed(&cinema.app, &ada, video).await.unwrap();
    assert_eq!(
        url,
        "https://www.youtube.com/embed/abcdefghijk?rel=0&modestbranding=1"
    );
    assert!(get_embed(&cinema.app, &cinema.teacher, video).await.is_ok());
    let dropped = cinema.student().await;
    cinema
        .execute(format!(
            "UPDATE video_progress.enrollments SET status = 'dropped' WHERE user_id = '{}'",
            dropped.user().unwrap().id
        ))
        .await;
    let refused = get_embed(&cinema.app, &dropped, video).await.unwrap_err();
    assert_eq!(refused.code().name, "not_enrolled");
    assert_eq!(
        cinema
            .count("SELECT count(*) FROM video_progress.access_log WHERE is_granted")
            .await,
        2
    );
    assert_eq!(
        cinema
            .count("SELECT count(*) FROM video_progress.access_log WHERE NOT is_granted")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_tabs_report_at_once_and_nothing_is_lost_or_counted_twice() {
    let cinema = Cinema::open().await;
    let (video, ada) = (cinema.video(1_000).await, cinema.student().await);
    get_embed(&cinema.app, &ada, video).await.unwrap();
    cinema.clock.advance(Duration::from_hours(1));
    let tabs = (0..100).flat_map(|tab| [tab, 99 - tab]).map(|tab| {
        let (cinema, ada) = (&cinema, &ada);
        async move { cinema.watch(ada, video, &[(tab * 5, tab * 5 + 8)]).await }
    });
    let answers = join_all(tabs).await;
    assert!(answers.iter().all(Result::is_ok));
    let stored = status(&cinema.app, &ada, video).await.unwrap();
    assert_eq!(stored.progress.unwrap().watched.segments.seconds(), 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_write_about_one_student_and_lose_nothing() {
    let cinema = Cinema::open().await;
    let other = process(&cinema.database, &cinema.clock);
    let (video, ada) = (cinema.video(1_000).await, cinema.student().await);
    get_embed(&cinema.app, &ada, video).await.unwrap();
    cinema.clock.advance(Duration::from_hours(1));
    // In turns each meets what the other wrote, and at once both write over the same state.
    for app in [&cinema.app, &other, &other, &cinema.app] {
        watch_in(app, &ada, video, &[(900, 901)]).await.unwrap();
    }
    let reports = (0..100).map(|tab| {
        let app = if tab % 2 == 0 { &cinema.app } else { &other };
        let ada = &ada;
        async move { watch_in(app, ada, video, &[(tab * 8, tab * 8 + 5)]).await }
    });
    let answers = join_all(reports).await;
    assert!(answers.iter().all(Result::is_ok));
    let stored = status(&cinema.app, &ada, video).await.unwrap();
    assert_eq!(stored.progress.unwrap().watched.segments.seconds(), 501);
}

#[tokio::test]
async fn nobody_watches_faster_than_the_clock() {
    let cinema = Cinema::open().await;
    let (video, ada) = (cinema.video(1_200).await, cinema.student().await);
    assert_eq!(seconds(cinema.watch(&ada, video, &[(0, 1_200)]).await), 10);
    cinema.clock.advance(Duration::from_mins(1));
    assert_eq!(seconds(cinema.watch(&ada, video, &[(0, 1_200)]).await), 130);
    let stored = status(&cinema.app, &ada, video).await.unwrap().progress.unwrap();
    assert!((stored.watched.percent(1_200) - 10.83).abs() < 0.01);
    assert!(stored.watched.completed_at.is_none());
}

#[tokio::test]
async fn completion_is_told_once_and_the_course_follows_its_content() {
    let cinema = Cinema::open().await;
    let (first, second, ada) = (
        cinema.video(100).await,
        cinema.video(300).await,
        cinema.student().await,
    );
    for video in [first, second] {
        get_embed(&cinema.app, &ada, video).await.unwrap();
    }
    cinema.clock.advance(Duration::from_hours(1));
    let told = "SELECT count(*) FROM video_progress.outbox WHERE type = 'progress.video_completed'";
    cinema.watch(&ada, first, &[(0, 95)]).await.unwrap();
    cinema.watch(&ada, first, &[(0, 100)]).await.unwrap();
    assert_eq!(cinema.count(told).await, 1);
    let percent = async |cinema: &Cinema| of_course(&cinema.app, &ada, cinema.course).await.unwrap().percent;
    assert!((percent(&cinema).await - 25.0).abs() < 1e-9);
    cinema.watch(&ada, second, &[(0, 150)]).await.unwrap();
    assert!((percent(&cinema).await - 62.5).abs() < 1e-9);
    // The second one is taken away: what is left is done.
    cinema
        .execute(format!(
            "UPDATE video_progress.videos SET is_deleted = true WHERE id = '{second}'"
        ))
        .await;
    cinema.app.videos.forget(&[(second, cinema.course)]).await;
    assert!((percent(&cinema).await - 100.0).abs() < 1e-9);
    cinema
        .execute("UPDATE video_progress.videos SET is_deleted = false".into())
        .await;
    cinema.watch(&ada, second, &[(150, 300)]).await.unwrap();
    assert_eq!(cinema.count(told).await, 2);
    assert_eq!(
        cinema
            .count("SELECT count(*) FROM video_progress.outbox WHERE type = 'progress.course_completed'")
            .await,
        1
    );
}

#[tokio::test]
async fn what_a_client_says_of_the_length_completes_nothing_until_the_catalogue_knows_it() {
    let cinema = Cinema::open().await;
    let (video, ada, berk) = (
        cinema.video(0).await,
        cinema.student().await,
        cinema.student().await,
    );
    for student in [&ada, &berk] {
        get_embed(&cinema.app, student, video).await.unwrap();
    }
    cinema.clock.advance(Duration::from_hours(1));
    let claims = Report {
        segments: vec![(0, 1)],
        length: 1,
        ..Report::default()
    };
    let claimed = report_progress(&cinema.app, &berk, video, claims).await.unwrap();
    assert!(claimed.progress.unwrap().watched.completed_at.is_none());
    cinema.watch(&ada, video, &[(0, 30), (40, 110)]).await.unwrap();
    let learn = async |seconds: i32| {
        let known = cinema.app.db.primary();
        let before = crate::storage::videos::by_id(known, video)
            .await
            .unwrap()
            .unwrap();
        let after = crate::storage::videos::Video {
            duration_seconds: seconds,
            version: before.version + 1,
            ..before.clone()
        };
        let now = cinema.clock.now();
        let learnt = cinema.app.db.write(move |mut tx| async move {
            // The older word comes late, and with the newer one.
            let told = vec![after, before];
            keep_videos(&mut tx, told, false, now)
                .await
                .unwrap_or_else(|fault| panic!("{fault}"));
            tx.commit(()).await
        });
        learnt
            .await
            .unwrap_or_else(|fault: postgres::WriteError| panic!("{fault}"));
    };
    let told = "SELECT count(*) FROM video_progress.outbox WHERE type = 'progress.video_completed'";
    learn(120).await;
    assert_eq!(cinema.count(told).await, 0, "ada has seen 100 of 120 seconds");
    learn(100).await;
    learn(100).await;
    assert_eq!(cinema.count(told).await, 1, "and 90 of the first 100");
    let course = "SELECT count(*) FROM video_progress.outbox WHERE type = 'progress.course_completed'";
    assert_eq!(cinema.count(course).await, 1);
    // What the process remembers of her is older than that, and takes nothing back.
    cinema.app.videos.forget(&[(video, cinema.course)]).await;
    cinema.watch(&ada, video, &[(30, 35)]).await.unwrap();
    let stored = status(&cinema.app, &ada, video).await.unwrap().progress.unwrap();
    assert!(stored.watched.completed_at.is_some());
    let stored = status(&cinema.app, &berk, video).await.unwrap().progress.unwrap();
    assert!(stored.watched.completed_at.is_none());
}

#[tokio::test]
async fn who_missed_only_what_is_taken_away_has_completed_the_course() {
    let cinema = Cinema::open().await;
    let (first, second) = (cinema.video(100).await, cinema.video(100).await);
    let (ada, berk) = (cinema.student().await, cinema.student().await);
    for (student, video) in [(&ada, first), (&berk, second)] {
        get_embed(&cinema.app, student, video).await.unwrap();
        cinema.clock.advance(Duration::from_hours(1));
        cinema.watch(student, video, &[(0, 100)]).await.unwrap();
    }
    let remove = async || {
        let (course, now) = (cinema.course, cinema.clock.now());
        let removed = cinema.app.db.write(move |mut tx| async move {
            after_changes(&mut tx, &[], &[course], now).await?;
            tx.commit(()).await
        });
        removed
            .await
            .unwrap_or_else(|fault: postgres::WriteError| panic!("{fault}"));
    };
    let told = "SELECT count(*) FROM video_progress.outbox WHERE type = 'progress.course_completed'";
    remove().await;
    assert_eq!(cinema.count(told).await, 0);
    let set = |deleted: bool| {
        format!("UPDATE video_progress.videos SET is_deleted = {deleted} WHERE id = '{second}'")
    };
    cinema.execute(set(true)).await;
    remove().await;
    remove().await;
    assert_eq!(
        cinema.count(told).await,
        1,
        "ada has seen all there is, and once is enough"
    );
    // It comes back, and she watches it too: that is no second completion.
    cinema.execute(set(false)).await;
    get_embed(&cinema.app, &ada, second).await.unwrap();
    cinema.clock.advance(Duration::from_hours(1));
    cinema.watch(&ada, second, &[(0, 100)]).await.unwrap();
    assert_eq!(cinema.count(told).await, 1);
    cinema
        .execute("UPDATE video_progress.videos SET is_deleted = true".into())
        .await;
    remove().await;
    assert_eq!(
        cinema.count(told).await,
        1,
        "an empty course is nobody's achievement"
    );
}

#[tokio::test]
async fn a_course_is_seen_as_it_is_now_once_its_change_was_heard() {
    let cinema = Cinema::open().await;
    let app = Arc::new(process(&cinema.database, &cinema.clock));
    let ada = cinema.student().await;
    let percent = async || {
        let status = of_course(&app, &ada, cinema.course).await.unwrap();
        (status.videos.len(), status.percent)
    };
    assert_eq!(percent().await, (0, 0.0));
    let (first, second) = (cinema.video(100).await, cinema.video(100).await);
    assert_eq!(percent().await, (2, 0.0), "that there were none is not kept");
    get_embed(&app, &ada, first).await.unwrap();
    cinema.clock.advance(Duration::from_hours(1));
    watch_in(&app, &ada, first, &[(0, 100)]).await.unwrap();
    assert_eq!(percent().await, (2, 50.0));
    let (at, course, hearing) = (cinema.clock.now(), cinema.course, Arc::clone(&app));
    let delivery = Delivery {
        id: EventId::new(at),
        subject: second.to_string(),
        event: VideoChanged {
            video_id: second.into(),
            course_id: course.into(),
            version: 2,
            duration_seconds: 100,
            is_deleted: true,
            ..VideoChanged::default()
        },
        occurred_at: at,
    };
    let heard = app.db.write(move |mut tx| async move {
        consumers::changed(hearing, &mut tx, vec![delivery], false).await?;
        Ok::<_, HandlerError>(tx.commit(()).await?)
    });
    heard.await.unwrap();
    assert_eq!(percent().await, (1, 100.0));
}

#[tokio::test]
async fn lists_cost_a_few_queries_however_long_they_are() {
    let cinema = Cinema::open().await;
    let mut students = Vec::new();
    for _ in 0..30 {
        cinema.video(100).await;
        students.push(cinema.student().await);
    }
    let (page, queries) =
        count_queries(of_students(&cinema.app, &cinema.teacher, cinema.course, 20, None)).await;
    let page = page.unwrap();
    assert_eq!(
        (
            page.items.len(),
            page.items[0].video_count,
            page.next_page_token.is_empty()
        ),
        (20, 30, false)
    );
    assert!(queries.count() <= 4, "{:?}", queries.0);
    let (mine, queries) = count_queries(of_caller(&cinema.app, &students[0], 20, None)).await;
    assert_eq!(mine.unwrap().items[0].videos.len(), 30);
    assert!(queries.count() <= 2, "{:?}", queries.0);
    let Caller::User(teacher) = &cinema.teacher else {
        unreachable!()
    };
    // A role was taken away, or asks for a second factor that was not given.
    let was_teacher = Caller::User(Arc::new(User {
        permissions: Vec::new().into(),
        ..User::clone(teacher)
    }));
    for nobody in [&students[0], &was_teacher] {
        let refused = of_students(&cinema.app, nobody, cinema.course, 20, None).await;
        assert_eq!(refused.err().unwrap().code().name, "permission_denied");
    }
}

#[tokio::test]
async fn this_month_and_the_next_have_partitions() {
    let cinema = Cinema::open().await;
    crate::jobs::partitions::ensure(&cinema.app.db).await.unwrap();
    crate::jobs::partitions::ensure(&cinema.app.db).await.unwrap();
    let partitions =
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'video_progress.access_log'::regclass";
    assert_eq!(cinema.count(partitions).await, 4);
}

#[tokio::test]
async fn months_whose_time_is_over_are_dropped_and_others_stay() {
    let cinema = Cinema::open().await;
    let old = "CREATE TABLE video_progress.access_log_2020_01 PARTITION OF video_progress.access_log
                   FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')";
    cinema.execute(old.to_owned()).await;
    let keep = |months| crate::jobs::partitions::keep(&cinema.app.db, months);
    assert_eq!(keep(0).await.unwrap(), 0, "for ever");
    assert_eq!((keep(24).await.unwrap(), keep(24).await.unwrap()), (1, 0));
    let partitions =
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'video_progress.access_log'::regclass";
    assert_eq!(cinema.count(partitions).await, 4);
}
