use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use access_token::permissions::COURSES_WRITE;
use access_token::{Caller, User};
use cache::{Cache, Redis};
use clock::Clock;
use contracts::events::v1::{
    CourseVideosCompleted, EnrollmentCreated, EnrollmentStatusChanged, ExamAttemptGraded,
    ExamAttemptSubmitted, UserRegistered, VideoCompleted,
};
use event_bus::{Delivery, HandlerError};
use object_storage::Storage;
use postgres::PageTokens;
use roster::Roster;
use rpc_client::{RpcClient, RpcSettings};
use serde_json::json;
use service_runtime::OperationLimits;
use sqlx::AssertSqlSafe;
use test_support::{TestDatabase, fixed_clock};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::sync::Notify;
use typed_id::{CourseId, EventId, SessionId, UserId, new_uuid};
use uuid::Uuid;

use crate::app::Reporting;
use crate::domain::fact::Tells;
use crate::usecases::record_activity::record;

/// The service on a database and a folder of its own. Others are not there.
pub struct School {
    pub app: Arc<Reporting>,
    pub clock: Clock,
    pub folder: tempfile::TempDir,
    /// Ids that were made: each is later than the one before.
    ids: AtomicI64,
    _database: TestDatabase,
}

/// Nobody listens there.
fn nobody(name: &'static str) -> RpcClient {
    let settings: RpcSettings = serde_json::from_str(r#"{"timeout_seconds": 1, "connections": 1}"#).unwrap();
    RpcClient::new(name, "http://127.0.0.1:1", &settings, None).unwrap()
}

impl School {
    /// It is Friday, 2027-01-15, 11:00 in Istanbul.
    pub async fn open() -> Self {
        Self::open_with(OperationLimits {
            soft_limit_seconds: 1_500,
            hard_limit_seconds: 1_800,
        })
        .await
    }

    pub async fn open_with(limits: OperationLimits) -> Self {
        let (database, clock) = (TestDatabase::new("reporting").await, fixed_clock());
        let folder = tempfile::tempdir().unwrap();
        let db = database.database_with(clock.clone());
        let settings = serde_json::from_value(json!({
            "location": folder.path(), "endpoint": "", "region": "", "access_key_id": "", "secret_access_key": "",
        }));
        let redis = serde_json::from_str(r#"{"url": "redis://127.0.0.1:1"}"#).unwrap();
        let app = Reporting {
            roster: Roster::new(
                db.clone(),
                nobody("auth"),
                nobody("catalog"),
                nobody("enrollment"),
            ),
            db,
            clock: clock.clone(),
            pages: PageTokens::new(b"a key"),
            cache: Cache::new(Redis::connect(&redis).unwrap()),
            storage: Storage::open(&settings.unwrap()).unwrap(),
            wake_workers: Notify::new(),
            limits,
        };
        Self {
            app: Arc::new(app),
            clock,
            folder,
            ids: AtomicI64::new(0),
            _database: database,
        }
    }

    pub async fn execute(&self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(self.app.db.primary())
            .await
            .unwrap();
    }

    pub async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(self.app.db.primary())
            .await
            .unwrap()
    }

    pub fn id(&self) -> Uuid {
        let turn = self.ids.fetch_add(1, Ordering::Relaxed);
        new_uuid(self.clock.now() + time::Duration::milliseconds(turn))
    }

    pub fn caller(&self, id: Uuid) -> Caller {
        Caller::User(Arc::new(User {
            id: UserId(id),
            session_id: SessionId::new(self.clock.now()),
            token_id: String::new(),
            roles: Vec::new(),
            // A student with it is nobody's teacher yet.
            permissions: vec![COURSES_WRITE.to_owned()].into(),
            impersonator: None,
            key_id: String::new(),
            issued_at: self.clock.now(),
            expires_at: self.clock.now() + time::Duration::hours(1),
        }))
    }

    /// A course, and its teacher.
    pub async fn course(&self) -> (CourseId, Uuid) {
        let (course, teacher) = (self.id(), self.id());
        self.execute(format!(
            "INSERT INTO reporting.courses VALUES ('{course}', 1, 'Algebra', '{teacher}', true, false)"
        ))
        .await;
        (CourseId(course), teacher)
    }

    /// A student of a course, by a name.
    pub async fn student(&self, course: CourseId, name: &str) -> Uuid {
        let id = self.id();
        self.execute(format!(
            "INSERT INTO reporting.users VALUES ('{id}', 1, '{name}');
             INSERT INTO reporting.enrollments VALUES ('{id}', '{course}', 1, 'active')"
        ))
        .await;
        id
    }

    /// An event that happened at a moment comes to the consumer.
    pub async fn hear<E: Tells>(&self, event: E, at: OffsetDateTime) -> EventId {
        let id = EventId::new(at);
        self.hear_again(id, event, at).await;
        id
    }

    /// As when the inbox has forgotten it already.
    pub async fn hear_again<E: Tells>(&self, id: EventId, event: E, at: OffsetDateTime) {
        let delivery = Delivery {
            id,
            subject: event.subject().to_owned(),
            event,
            occurred_at: at,
        };
        let heard = self.app.db.write(move |mut tx| async move {
            record(&mut tx, std::slice::from_ref(&delivery)).await?;
            Ok::<_, HandlerError>(tx.commit(()).await?)
        });
        heard.await.unwrap();
    }
}

pub fn registered(user: Uuid) -> UserRegistered {
    UserRegistered {
        user_id: user.into(),
        email: "ada@school.test".into(),
        full_name: "Ada".into(),
        role: "student".into(),
        version: 1,
        ..UserRegistered::default()
    }
}

pub fn enrolled(user: Uuid, course: CourseId) -> EnrollmentCreated {
    EnrollmentCreated {
        enrollment_id: user.into(),
        version: 1,
        user_id: user.into(),
        course_id: course.into(),
        status: "active".into(),
        ..EnrollmentCreated::default()
    }
}

pub fn dropped(user: Uuid, course: CourseId) -> EnrollmentStatusChanged {
    EnrollmentStatusChanged {
        enrollment_id: user.into(),
        version: 2,
        user_id: user.into(),
        course_id: course.into(),
        previous_status: "active".into(),
        status: "dropped".into(),
        ..EnrollmentStatusChanged::default()
    }
}

pub fn watched(user: Uuid, course: CourseId, video: Uuid) -> VideoCompleted {
    VideoCompleted {
        video_id: video.into(),
        user_id: user.into(),
        course_id: course.into(),
        video_title: "Video".into(),
    }
}

pub fn completed(user: Uuid, course: CourseId) -> CourseVideosCompleted {
    CourseVideosCompleted {
        course_id: course.into(),
        user_id: user.into(),
        course_title: "Algebra".into(),
    }
}

pub fn submitted(user: Uuid, course: CourseId, attempt: Uuid, version: i32) -> ExamAttemptSubmitted {
    ExamAttemptSubmitted {
        attempt_id: attempt.into(),
        version,
        exam_id: attempt.into(),
        exam_title: "=Quiz".into(),
        course_id: course.into(),
        user_id: user.into(),
        submitted_by: "student".into(),
        submitted_at: Some(contracts::timestamp(datetime!(2027-01-15 07:59:53.5 UTC))),
    }
}

/// A score of so many points of ten.
pub fn graded(user: Uuid, course: CourseId, attempt: Uuid, version: i32, points: i32) -> ExamAttemptGraded {
    ExamAttemptGraded {
        attempt_id: attempt.into(),
        version,
        exam_id: attempt.into(),
        exam_title: "=Quiz".into(),
        course_id: course.into(),
        user_id: user.into(),
        score: (points * 10_000).to_string(),
        max_score: "100000".into(),
        passed: points >= 5,
        is_released: false,
        graded_at: None,
    }
}
