//! Changes that meet other changes, callers who do not wait, and a Redis that is away.

use std::ffi::OsStr;
use std::time::Duration;

use access_token::Caller;
use cache::fred::interfaces::KeysInterface;
use cache::{Cache, Key, Redis};
use clap::Parser;
use contracts::events::v1::UserUpdated;
use event_bus::{Delivery, HandlerError};
use sqlx::PgConnection;
use test_support::{TestProxy, eventually};
use typed_id::{CourseId, EventId, UserId, VideoId};

use super::content::caller;
use super::lists::{School, connect};
use crate::caching::Caching;
use crate::consumers;
use crate::import::{self, ImportArguments};
use crate::storage::videos::Synced;
use crate::usecases::change_course::{Changes, set_published, update_course};
use crate::usecases::get_course::get_course;
use crate::usecases::videos::{Metadata, get_state, keep_metadata};

const PATIENCE: Duration = Duration::from_secs(20);

async fn execute(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

impl School {
    async fn teacher(&self) -> Caller {
        let id = self.id("SELECT id FROM catalog.teachers").await;
        caller(id, self.app.clock.now())
    }

    async fn course(&self) -> CourseId {
        CourseId(
            self.id("SELECT id FROM catalog.courses ORDER BY id LIMIT 1")
                .await,
        )
    }
}

#[tokio::test]
async fn two_courses_that_would_require_each_other_at_once_make_no_circle() {
    let school = School::open(2).await;
    let (app, teacher, first) = (&school.app, school.teacher().await, school.course().await);
    let second = CourseId(
        school
            .id("SELECT id FROM catalog.courses ORDER BY id DESC LIMIT 1")
            .await,
    );
    let require = |course: CourseId, needed: CourseId| {
        let changes = Changes {
            prerequisite_ids: Some(vec![needed.0]),
            ..Changes::default()
        };
        update_course(app, &teacher, course, changes)
    };
    // Lets both look, and none write.
    let mut gate = school.database.superuser().await;
    execute(&mut gate, "BEGIN; LOCK TABLE catalog.courses IN SHARE MODE").await;
    let opening = async {
        school.until_waiting(2).await;
        execute(&mut gate, "COMMIT").await;
    };
    let (one, other, ()) = tokio::join!(require(first, second), require(second, first), opening);
    let refused: Vec<&str> = [one, other]
        .into_iter()
        .filter_map(|outcome| Some(outcome.err()?.code().name))
        .collect();
    assert_eq!(refused, ["unknown_prerequisite"]);
}

#[tokio::test]
async fn what_youtube_tells_and_a_change_of_the_same_video_lock_in_one_order() {
    let school = School::open(1).await;
    let app = &school.app;
    let id = VideoId(school.id("SELECT id FROM catalog.videos LIMIT 1").await);
    let told = Metadata {
        youtube_id: get_state(app, id).await.unwrap().youtube_id,
        title: String::new(),
        duration_seconds: 120,
        synced: Synced {
            status: "available".into(),
            thumbnail_url: String::new(),
            at: app.clock.now(),
        },
    };
    let mut staff = school.database.superuser().await;
    execute(&mut staff, "BEGIN; SELECT id FROM catalog.courses FOR UPDATE").await;
    let hearing = app.db.write(move |mut tx| async move {
        let changed = keep_metadata(&mut tx, vec![(id, told)]).await?;
        tx.commit(changed.len()).await
    });
    let changing = async {
        school.until_waiting(1).await;
        execute(&mut staff, "UPDATE catalog.videos SET order_index = 7; COMMIT").await;
    };
    let (heard, ()) = tokio::join!(hearing, changing);
    assert_eq!(heard.unwrap(), 1);
    let video = get_state(app, id).await.unwrap();
    assert_eq!((video.order_index, video.duration_seconds), (7, 120));
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_nothing_old_in_the_cache() {
    let school = School::open(1).await;
    let (app, teacher, course) = (&school.app, school.teacher().await, school.course().await);
    let look = || get_course(app, &Caller::Anonymous, course);
    look().await.unwrap();
    let mut gate = school.database.superuser().await;
    execute(&mut gate, "BEGIN; SELECT id FROM catalog.courses FOR UPDATE").await;
    tokio::select! {
        _ = set_published(app, &teacher, course, false) => panic!("it waits for the course"),
        () = school.until_waiting(1) => {}
    }
    execute(&mut gate, "COMMIT").await;
    eventually(PATIENCE, || async { look().await.is_err().then_some(()) }).await;
}

/// Whether Redis has the detail of a course; `None` when it does not say in time.
async fn has_detail(redis: &Redis, course: CourseId) -> Option<bool> {
    let key = redis.key(&Key::CourseDetail(course));
    let found = redis
        .run(|client| async move { client.get::<Option<Vec<u8>>, _>(key).await })
        .await?;
    Some(found.is_some_and(|bytes| !bytes.is_empty()))
}

/// Has a course in a cache whose Redis can be taken away; and the way around.
async fn cached_behind_proxy(school: &mut School, course: CourseId) -> (TestProxy, Redis) {
    let (url, prefix) = (school.redis.url(), school.redis.prefix());
    let proxy = TestProxy::before(url, 6379).await;
    let (behind, direct) = (connect(&proxy.url(url), prefix).await, connect(url, prefix).await);
    school.app.caching = Caching::new(Cache::new(behind), Duration::from_mins(5));
    let app = &school.app;
    eventually(PATIENCE, || async {
        get_course(app, &Caller::Anonymous, course).await.unwrap();
        has_detail(&direct, course).await?.then_some(())
    })
    .await;
    (proxy, direct)
}

#[tokio::test]
async fn what_redis_did_not_take_is_repeated_when_it_is_there_again() {
    let mut school = School::open(1).await;
    let (teacher, course) = (school.teacher().await, school.course().await);
    let (proxy, direct) = cached_behind_proxy(&mut school, course).await;
    let app = &school.app;
    proxy.stop();
    set_published(app, &teacher, course, false).await.unwrap();
    assert!(eventually(PATIENCE, || has_detail(&direct, course)).await);
    proxy.start();
    eventually(PATIENCE, || async {
        (!has_detail(&direct, course).await?).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_command_ends_when_redis_has_forgotten_what_it_changed() {
    let mut school = School::open(1).await;
    let course = school.course().await;
    let (proxy, direct) = cached_behind_proxy(&mut school, course).await;
    proxy.stop();
    let caching = school.app.caching.clone();
    let command = tokio::spawn(async move { caching.forget_and_wait(&[course]).await });
    assert!(eventually(PATIENCE, || has_detail(&direct, course)).await);
    assert!(!command.is_finished());
    proxy.start();
    tokio::time::timeout(PATIENCE, command).await.unwrap().unwrap();
    assert!(!eventually(PATIENCE, || has_detail(&direct, course)).await);
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    import: ImportArguments,
}

#[tokio::test]
async fn an_import_whose_commit_fails_leaves_nothing_in_the_cache_that_may_be_old() {
    let mut school = School::open(1).await;
    let course = school.course().await;
    let (_proxy, direct) = cached_behind_proxy(&mut school, course).await;
    let name = format!("sc-import-{course}");
    // To the process it is as if COMMIT had not been answered.
    school
        .execute(format!(
            "UPDATE catalog.courses SET source_key = '{name}:a key';
             CREATE FUNCTION catalog.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
             CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON catalog.courses DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION catalog.refuse()"
        ))
        .await;
    let file = std::env::temp_dir().join(format!("{name}.jsonl"));
    let item = r#"{"title": "Another", "source_key": "a key", "published": true}"#;
    std::fs::write(&file, item).unwrap();
    let command = Command::parse_from([OsStr::new("import"), file.as_os_str()]);
    let outcome = import::run(&school.app, &command.import).await;
    std::fs::remove_file(&file).unwrap();
    assert!(outcome.is_err());
    assert!(!eventually(PATIENCE, || has_detail(&direct, course)).await);
}

#[tokio::test]
async fn a_teacher_who_is_called_otherwise_is_shown_so() {
    let school = School::open(1).await;
    let (app, course) = (&school.app, school.course().await);
    let teacher = UserId(school.id("SELECT id FROM catalog.teachers").await);
    let shows = async |name: &'static str| {
        eventually(PATIENCE, || async {
            let detail = get_course(app, &Caller::Anonymous, course).await.unwrap();
            (detail.teacher_name == name).then_some(())
        })
        .await;
    };
    let hear = async |name: &'static str, version: i32| {
        let (caching, at) = (app.caching.clone(), app.clock.now());
        let heard = app.db.write(move |mut tx| async move {
            let delivery = Delivery {
                id: EventId::new(at),
                subject: teacher.to_string(),
                event: UserUpdated {
                    user_id: teacher.into(),
                    full_name: name.into(),
                    version,
                    ..UserUpdated::default()
                },
                occurred_at: at,
            };
            consumers::updated(&caching, &mut tx, delivery).await?;
            Ok::<_, HandlerError>(tx.commit(()).await?)
        });
        heard.await.unwrap();
    };
    shows("Deniz").await;
    hear("Derya", 2).await;
    shows("Derya").await;
    // An erasure has taken the name away before the account's change is heard of.
    school
        .execute("UPDATE catalog.teachers SET full_name = '', version = 3".into())
        .await;
    hear("", 3).await;
    shows("").await;
}
