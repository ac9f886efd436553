use std::path::Path;
use std::sync::Arc;

use access_token::{Caller, User, permissions};
use cache::Redis;
use clock::Clock;
use event_bus::HandlerError;
use live::Tickets;
use postgres::PageTokens;
use roster::Roster;
use rpc_client::{RpcClient, RpcSettings};
use sealed::Sealer;
use sqlx::AssertSqlSafe;
use test_support::{TestDatabase, fixed_clock};
use tokio::sync::Notify;
use typed_id::{CourseId, EventId, SessionId, UserId};

use crate::app::Notification;
use crate::app::links::Links;
use crate::config::{MailSettings, TransportKind};
use crate::domain::message::{Locale, MailKind, NotificationKind, Recipient, Values};
use crate::domain::preference::{Category, Channel, Frequency, Preferences};
use crate::domain::texts::Texts;
use crate::mail::sender::Sender;
use crate::mail::transport::Transport;
use crate::personal_data::PERSONAL_DATA;
use crate::usecases::preferences::put;
use crate::usecases::tell::{Message, tell};

pub const CAP: i32 = 10;

/// The service on a database of its own. Others are not there.
pub struct School {
    pub app: Arc<Notification>,
    pub clock: Clock,
    database: TestDatabase,
}

/// Nobody listens there.
fn nobody(name: &'static str) -> RpcClient {
    let settings: RpcSettings = serde_json::from_str(r#"{"timeout_seconds": 1, "connections": 1}"#).unwrap();
    RpcClient::new(name, "http://127.0.0.1:1", &settings, None).unwrap()
}

fn no_redis() -> Redis {
    let settings = serde_json::from_str(r#"{"url": "redis://127.0.0.1:1"}"#).unwrap();
    Redis::connect(&settings).unwrap()
}

fn assemble(database: &TestDatabase, clock: &Clock) -> Arc<Notification> {
    let db = database.database_with(clock.clone());
    let redis = no_redis();
    Arc::new(Notification {
        roster: Roster::new(
            db.clone(),
            nobody("auth"),
            nobody("catalog"),
            nobody("enrollment"),
        ),
        db,
        clock: clock.clone(),
        pages: PageTokens::new(b"a key"),
        auth: nobody("auth"),
        texts: Texts::load().unwrap(),
        links: Links::new("https://school.test"),
        wake_sender: Arc::new(Notify::new()),
        wake_announcer: Arc::new(Notify::new()),
        wake_dispatcher: Arc::new(Notify::new()),
        sealer: Sealer::new([7; 32]),
        has_open_webhooks: true,
        tickets: Tickets::new(redis.clone()),
        push: live::push(redis, clock.clone()).0,
        hourly_cap: CAP,
    })
}

pub fn mail_settings(directory: &Path) -> MailSettings {
    MailSettings {
        transport: TransportKind::File,
        directory: directory.to_owned(),
        smtp_url: String::new().into(),
        from: "Student Coaching <no-reply@studentcoaching.test>".into(),
        concurrency: 4,
        max_attempts: 3,
        hourly_cap: CAP,
    }
}

impl School {
    /// It is Friday, 2027-01-15, 11:00 in Istanbul.
    pub async fn open() -> Self {
        let (database, clock) = (TestDatabase::new("notification").await, fixed_clock());
        Self {
            app: assemble(&database, &clock),
            clock,
            database,
        }
    }

    /// Another process of the service on the same database.
    pub fn second_instance(&self) -> Arc<Notification> {
        assemble(&self.database, &self.clock)
    }

    /// As when the database's server is killed: what was under way is undone.
    pub async fn cut_off(&self) {
        let mut superuser = self.database.superuser().await;
        sqlx::raw_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .execute(&mut superuser)
        .await
        .unwrap();
    }

    pub fn sender(&self, settings: &MailSettings) -> Sender {
        Sender::new(Arc::clone(&self.app), Transport::new(settings).unwrap(), settings)
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

    pub async fn user(&self) -> Recipient {
        let id = UserId::new(self.clock.now());
        let address = format!("{id}@school.test");
        self.execute(format!(
            "INSERT INTO notification.users VALUES ('{id}', 1, '{address}', 'Ada', 'en', true, 'Europe/Istanbul')"
        ))
        .await;
        Recipient {
            user_id: id,
            address,
            name: "Ada".into(),
            locale: Locale::En,
        }
    }

    pub fn caller(&self, id: UserId) -> Caller {
        self.caller_with(id, &[])
    }

    pub fn caller_with(&self, id: UserId, permissions: &[&str]) -> Caller {
        Caller::User(Arc::new(User {
            id,
            session_id: SessionId::new(self.clock.now()),
            token_id: String::new(),
            key_id: String::new(),
            roles: Vec::new(),
            permissions: permissions
                .iter()
                .map(|one| (*one).to_owned())
                .collect::<Vec<_>>()
                .into(),
            impersonator: None,
            issued_at: self.clock.now(),
            expires_at: self.clock.now() + time::Duration::hours(1),
        }))
    }

    pub async fn prefer(&self, user: UserId, cells: &[(Category, Channel, Frequency)]) {
        let mut preferences = Preferences::default();
        for (category, channel, frequency) in cells {
            preferences.choose(*category, *channel, *frequency).unwrap();
        }
        put(&self.app, &self.caller(user), preferences).await.unwrap();
    }

    /// A course with so many students; its teacher.
    pub async fn course(&self, students: usize) -> (CourseId, Caller) {
        let (course, teacher) = (CourseId::new(self.clock.now()), UserId::new(self.clock.now()));
        self.execute(format!(
            "INSERT INTO notification.courses VALUES ('{course}', 1, 'Algebra', '{teacher}', true, false);
             INSERT INTO notification.users
                 SELECT gen_random_uuid(), 1, 's' || n || '@school.test', 'S' || n, 'tr', true, 'Europe/Istanbul'
                 FROM generate_series(1, {students}) AS n;
             INSERT INTO notification.enrollments
                 SELECT id, '{course}', 1, 'active' FROM notification.users WHERE locale = 'tr'"
        ))
        .await;
        (course, self.caller_with(teacher, &[permissions::COURSES_WRITE]))
    }

    /// Another course, with so many students of its own; its teacher.
    pub async fn small_course(&self, students: usize) -> (CourseId, Caller) {
        let (course, teacher) = (CourseId::new(self.clock.now()), UserId::new(self.clock.now()));
        self.execute(format!(
            "INSERT INTO notification.courses VALUES ('{course}', 1, 'Geometry', '{teacher}', true, false)"
        ))
        .await;
        for _ in 0..students {
            let student = self.user().await.user_id;
            self.execute(format!(
                "INSERT INTO notification.enrollments VALUES ('{student}', '{course}', 1, 'active')"
            ))
            .await;
        }
        (course, self.caller_with(teacher, &[permissions::COURSES_WRITE]))
    }

    /// Tells of an event, as a consumer does.
    pub async fn tell(&self, to: &Recipient, mail: Option<MailKind>, notification: Option<NotificationKind>) {
        let message = Message {
            mail,
            notification,
            values: Values {
                course_title: "Algebra".into(),
                ..Values::default()
            },
            link: "https://school.test/courses/1".into(),
            path: "/courses/1".into(),
        };
        let (app, to) = (Arc::clone(&self.app), to.clone());
        let told = self.app.db.write(move |mut tx| async move {
            let event = EventId::new(tx.clock().now());
            tell(&app, &mut tx, event, &to, message).await?;
            Ok::<_, HandlerError>(tx.commit(()).await?)
        });
        told.await.unwrap();
    }

    /// As auth asks for it.
    pub async fn erase(&self, user: UserId) {
        let erased = self.app.db.write(move |mut tx| async move {
            personal_data::erase(&mut tx, user, 2, PERSONAL_DATA).await?;
            Ok::<_, HandlerError>(tx.commit(()).await?)
        });
        erased.await.unwrap();
    }

    /// An enrolment, in the inbox and by mail.
    pub async fn enroll(&self, to: &Recipient) {
        let (mail, entry) = (MailKind::EnrollmentCreated, NotificationKind::EnrollmentCreated);
        self.tell(to, Some(mail), Some(entry)).await;
    }
}
