use std::sync::Arc;
use std::time::Duration;

use access_token::{Caller, permissions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contracts::events::v1::{
    CourseChanged, CourseVideosCompleted, EnrollmentCreated, EnrollmentStatusChanged, ExamAttemptGraded,
    ExamAttemptSubmitted, UserErased, UserRegistered, UserUpdated, VideoCompleted,
};
use contracts::notification::v1::CreateWebhookRequest;
use contracts::{Event, Validate};
use event_bus::{Delivery, HandlerError};
use futures::FutureExt;
use serde_json::Value;
use test_support::eventually;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use typed_id::{EventId, UserId, WebhookId};

use super::receiver::Receiver;
use super::school::School;
use crate::app::Notification;
use crate::domain::webhook::{EVENT_TYPES, Secret, signatures};
use crate::storage::webhook_deliveries::Delivery as Logged;
use crate::storage::webhooks::{Change, Webhook};
use crate::usecases::webhooks::create::create;
use crate::usecases::webhooks::list::{get, list};
use crate::usecases::webhooks::list_deliveries::list_deliveries;
use crate::usecases::webhooks::queue::queue;
use crate::usecases::webhooks::replay::replay;
use crate::usecases::webhooks::rotate_secret::rotate_secret;
use crate::usecases::webhooks::update::update;
use crate::usecases::webhooks::{delete, test};
use crate::webhooks::courier::{Courier, Parcel};
use crate::webhooks::dispatcher::Dispatcher;

const LIMIT: Duration = Duration::from_secs(30);

impl School {
    fn admin(&self, id: UserId) -> Caller {
        self.caller_with(id, &[permissions::USERS_READ, permissions::COURSES_MANAGE])
    }

    async fn webhook(&self, url: &str, types: &[&str]) -> (Webhook, Secret) {
        let admin = self.admin(UserId::new(self.clock.now()));
        let types = types.iter().map(|one| (*one).to_owned()).collect();
        create(&self.app, &admin, url, types, "Registrar".into())
            .await
            .unwrap()
    }

    fn dispatcher(app: &Arc<Notification>, hands: u16) -> Dispatcher {
        Dispatcher::new(
            Arc::clone(app),
            Courier::new(true).unwrap().with_timeout(LIMIT * 4),
            hands,
        )
    }

    /// Comes through the broker, as often as it likes.
    async fn happens<E: Event>(&self, id: EventId, event: &E) {
        let app = Arc::clone(&self.app);
        let delivery = Delivery {
            id,
            subject: event.subject().to_owned(),
            event: event.clone(),
            occurred_at: self.clock.now(),
        };
        let done = self.app.db.write(move |mut tx| async move {
            queue(&app, &mut tx, vec![delivery]).await?;
            Ok::<_, HandlerError>(tx.commit(()).await?)
        });
        done.await.unwrap();
    }

    async fn enrolled(&self) -> EventId {
        let id = EventId::new(self.clock.now());
        self.happens(id, &enrolled()).await;
        id
    }

    async fn log(&self, webhook: WebhookId) -> Vec<Logged> {
        list_deliveries(&self.app, webhook, None, 100, None)
            .await
            .unwrap()
            .0
    }

    /// Moves the clock to where the last delivery is due again.
    async fn wait_for(&self, webhook: WebhookId) {
        let due = self.log(webhook).await[0].next_attempt_at;
        let wait = due - self.clock.now() + time::Duration::minutes(2);
        self.clock.advance(wait.try_into().unwrap());
    }
}

fn enrolled() -> EnrollmentCreated {
    EnrollmentCreated {
        enrollment_id: "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10".into(),
        user_id: "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a11".into(),
        course_title: "Türev \"& İntegral\"".into(),
        ..EnrollmentCreated::default()
    }
}

#[tokio::test]
async fn an_event_is_posted_once_to_each_who_wants_it_and_signed() {
    let (school, receiver) = (School::open().await, Receiver::start().await);
    let (webhook, secret) = school
        .webhook(&receiver.at("/hook"), &["enrollment.created"])
        .await;
    let (other, _) = school.webhook(&receiver.at("/hook"), &["course.changed"]).await;
    let id = school.enrolled().await;
    // The broker gives it again.
    school.happens(id, &enrolled()).await;
    school
        .happens(EventId::new(school.clock.now()), &UserRegistered::default())
        .await;
    let dispatcher = School::dispatcher(&school.app, 1);
    while dispatcher.turn().await {}
    let posted = receiver.posted();
    assert_eq!(posted.len(), 1);
    let posted = &posted[0];
    assert_eq!(posted.header("webhook-id"), id.to_string());
    let timestamp: i64 = posted.header("webhook-timestamp").parse().unwrap();
    assert_eq!(timestamp, school.clock.now().unix_timestamp());
    let expected = signatures(&[secret], &id.to_string(), timestamp, &posted.body);
    assert_eq!(posted.header("webhook-signature"), expected);
    assert_eq!(posted.header("content-type"), "application/json");
    let body: Value = serde_json::from_str(&posted.body).unwrap();
    assert_eq!(body["type"], "enrollment.created");
    assert_eq!(body["timestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(body["data"]["course_title"], "Türev \"& İntegral\"");
    let log = school.log(webhook.id).await;
    assert_eq!(
        (log.len(), log[0].state.as_str(), log[0].attempts),
        (1, "delivered", 1)
    );
    assert_eq!(
        (log[0].last_status, log[0].last_response.as_str()),
        (Some(200), "noted")
    );
    assert!(school.log(other.id).await.is_empty());
    assert!(
        get(&school.app, webhook.id)
            .await
            .unwrap()
            .last_success_at
            .is_some()
    );
}

#[tokio::test]
async fn what_is_not_taken_is_tried_for_a_day_then_given_up_and_can_be_sent_again() {
    let (school, receiver) = (School::open().await, Receiver::start().await);
    let (webhook, _) = school
        .webhook(&receiver.at("/hook"), &["enrollment.created"])
        .await;
    receiver.answer(500);
    let id = school.enrolled().await;
    let dispatcher = School::dispatcher(&school.app, 1);
    let begun = school.clock.now();
    for tries in 1..=8 {
        assert!(dispatcher.turn().await, "try {tries}");
        assert!(!dispatcher.turn().await, "it rests after try {tries}");
        let last = &school.log(webhook.id).await[0];
        assert_eq!((last.attempts, last.last_status), (tries, Some(500)));
        assert_eq!(last.last_error, "it answered 500");
        assert_eq!(last.state, if tries < 8 { "pending" } else { "failed" });
        school.wait_for(webhook.id).await;
    }
    assert!(!dispatcher.turn().await);
    let took = (school.clock.now() - begun).whole_hours();
    assert!((27..36).contains(&took), "{took} hours");
    let failed = school.log(webhook.id).await.remove(0);
    let admin = school.admin(UserId::new(school.clock.now()));
    receiver.answer(204);
    // It rests a minute at most.
    school.clock.advance(Duration::from_mins(2));
    let again = replay(&school.app, &admin, failed.id).await.unwrap();
    assert_eq!((again.state.as_str(), again.attempts), ("pending", 0));
    assert!(dispatcher.turn().await);
    let posted = receiver.posted();
    assert_eq!(posted.len(), 9);
    assert!(
        posted
            .iter()
            .all(|one| one.header("webhook-id") == id.to_string())
    );
    assert!(posted.iter().all(|one| one.body == posted[0].body));
    assert_eq!(school.log(webhook.id).await[0].state, "delivered");
    // Also what was taken.
    replay(&school.app, &admin, failed.id).await.unwrap();
    assert!(dispatcher.turn().await);
    assert_eq!(receiver.posted().len(), 10);
}

#[tokio::test]
async fn redirects_are_not_followed_answers_are_cut_and_wishes_heeded() {
    let (school, receiver) = (School::open().await, Receiver::start().await);
    let dispatcher = School::dispatcher(&school.app, 1);
    let mut logged = Vec::new();
    for path in ["/moved", "/huge", "/later", "/nowhere"] {
        let (webhook, _) = school.webhook(&receiver.at(path), &["enrollment.created"]).await;
        test::test(&school.app, webhook.id).await.unwrap();
        assert!(dispatcher.turn().await);
        logged.push(school.log(webhook.id).await.remove(0));
    }
    let [moved, huge, later, nowhere] = logged.try_into().unwrap();
    assert_eq!((moved.state.as_str(), moved.last_status), ("pending", Some(307)));
    assert!(receiver.posted().is_empty());
    assert_eq!(
        (huge.state.as_str(), huge.last_response.len()),
        ("delivered", 1_024)
    );
    assert_eq!(
        later.next_attempt_at,
        school.clock.now() + time::Duration::hours(1)
    );
    assert_eq!(nowhere.last_status, Some(404));
    let (nobody, _) = school
        .webhook("http://127.0.0.1:1/", &["enrollment.created"])
        .await;
    test::test(&school.app, nobody.id).await.unwrap();
    assert!(dispatcher.turn().await);
    let unanswered = school.log(nobody.id).await.remove(0);
    assert_eq!(
        (unanswered.last_status, unanswered.event_type.as_str()),
        (None, "webhook.test")
    );
    assert!(!unanswered.last_error.is_empty());
}

#[tokio::test]
async fn a_new_secret_signs_beside_the_old_one_for_a_while() {
    let (school, receiver) = (School::open().await, Receiver::start().await);
    let (webhook, first) = school
        .webhook(&receiver.at("/hook"), &["enrollment.created"])
        .await;
    let admin = school.caller(webhook.created_by);
    let day = time::Duration::hours(24);
    let (second, until) = rotate_secret(&school.app, &admin, webhook.id, day).await.unwrap();
    assert_eq!(until, Some(school.clock.now() + day));
    let dispatcher = School::dispatcher(&school.app, 1);
    let sent_with = async |secrets: &[Secret]| {
        let id = school.enrolled().await;
        assert!(dispatcher.turn().await);
        let posted = receiver.posted().pop().unwrap();
        let (id, now) = (id.to_string(), school.clock.now().unix_timestamp());
        assert_eq!(
            posted.header("webhook-signature"),
            signatures(secrets, &id, now, &posted.body)
        );
    };
    sent_with(&[second.clone(), first]).await;
    school.clock.advance(Duration::from_hours(24));
    sent_with(std::slice::from_ref(&second)).await;
    // It leaked.
    let none = time::Duration::ZERO;
    let (third, until) = rotate_secret(&school.app, &admin, webhook.id, none)
        .await
        .unwrap();
    assert_eq!(until, None);
    sent_with(&[third]).await;
}

#[tokio::test]
async fn secrets_are_sealed_and_shown_once() {
    let school = School::open().await;
    let (webhook, secret) = school
        .webhook("https://school.example.edu/x", &["enrollment.created"])
        .await;
    let plain = STANDARD
        .decode(secret.text().strip_prefix("whsec_").unwrap())
        .unwrap();
    assert_eq!(plain, secret.bytes());
    let row: String = sqlx::query_scalar("SELECT w::text FROM notification.webhooks w")
        .fetch_one(school.app.db.primary())
        .await
        .unwrap();
    let hex = hex::encode(&plain);
    assert!(
        row.contains(&webhook.id.to_string()) && !row.contains(&hex),
        "{row}"
    );
}

#[tokio::test]
async fn a_webhook_that_takes_nothing_for_days_is_turned_off_and_admins_are_told() {
    let (school, receiver) = (School::open().await, Receiver::start().await);
    let (admin, ada) = (school.user().await, school.user().await);
    school
        .execute(format!(
            "UPDATE notification.users SET role = 'admin' WHERE id = '{}'",
            admin.user_id
        ))
        .await;
    let (webhook, _) = school
        .webhook(&receiver.at("/hook"), &["enrollment.created"])
        .await;
    receiver.answer(503);
    let dispatcher = School::dispatcher(&school.app, 1);
    for day in 0..5 {
        assert!(get(&school.app, webhook.id).await.unwrap().is_active, "day {day}");
        for _ in 0..2 {
            school.enrolled().await;
            school.clock.advance(Duration::from_hours(12));
            assert!(dispatcher.turn().await);
        }
    }
    school.enrolled().await;
    school.clock.advance(Duration::from_hours(12));
    assert!(dispatcher.turn().await);
    let lost = get(&school.app, webhook.id).await.unwrap();
    assert_eq!(lost.disabled_reason.as_deref(), Some("failing"));
    let of = async |table: &str, user: UserId| {
        let sql = format!("SELECT count(*) FROM notification.{table} WHERE user_id = '{user}'");
        school.count(&sql).await
    };
    assert_eq!(
        (
            of("mails", admin.user_id).await,
            of("notifications", admin.user_id).await
        ),
        (1, 1)
    );
    assert_eq!(
        (
            of("mails", ada.user_id).await,
            of("notifications", ada.user_id).await
        ),
        (0, 0)
    );
    let told = "SELECT count(*) FROM notification.outbox WHERE type = 'webhook.changed'";
    assert_eq!(school.count(told).await, 2, "created, disabled");
    // While it is off nothing is kept for it or sent to it.
    let before = school.log(webhook.id).await.len();
    school.enrolled().await;
    school.clock.advance(Duration::from_hours(12));
    assert!(!dispatcher.turn().await);
    assert_eq!(school.log(webhook.id).await.len(), before);
    let refused = test::test(&school.app, webhook.id).await.unwrap_err();
    assert_eq!(refused.code().name, "webhook_inactive");
    let waiting = school.log(webhook.id).await.pop().unwrap();
    let boss = school.admin(UserId::new(school.clock.now()));
    assert_eq!(
        replay(&school.app, &boss, waiting.id)
            .await
            .unwrap_err()
            .code()
            .name,
        "webhook_inactive"
    );
    // On again, what waits goes on.
    receiver.answer(200);
    let change = Change {
        is_active: Some(true),
        ..Change::default()
    };
    let caller = school.admin(admin.user_id);
    let on = update(&school.app, &caller, webhook.id, change).await.unwrap();
    assert_eq!(
        (on.is_active, on.disabled_reason, on.failing_since),
        (true, None, None)
    );
    assert!(dispatcher.turn().await);
    let sql = "SELECT count(*) FROM notification.webhook_deliveries WHERE state = 'delivered'";
    assert!(school.count(sql).await > 0);
}

#[tokio::test]
async fn who_answers_gone_is_asked_no_more() {
    let (school, receiver) = (School::open().await, Receiver::start().await);
    let (webhook, _) = school
        .webhook(&receiver.at("/hook"), &["enrollment.created"])
        .await;
    receiver.answer(410);
    school.enrolled().await;
    assert!(School::dispatcher(&school.app, 1).turn().await);
    let gone = get(&school.app, webhook.id).await.unwrap();
    assert_eq!(
        (gone.is_active, gone.disabled_reason.as_deref()),
        (false, Some("gone"))
    );
    assert_eq!(school.log(webhook.id).await[0].state, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_hangs_holds_up_no_other_and_is_in_one_hand_at_a_time() {
    let (school, receiver) = (School::open().await, Receiver::start().await);
    let (slow, _) = school
        .webhook(&receiver.at("/slow"), &["enrollment.created"])
        .await;
    let (fast, _) = school
        .webhook(&receiver.at("/hook"), &["enrollment.created"])
        .await;
    let stop = CancellationToken::new();
    let second = school.second_instance();
    let running: Vec<_> = [&school.app, &second]
        .map(|app| tokio::spawn(School::dispatcher(app, 2).run(stop.clone())))
        .into();
    for _ in 0..120 {
        school.enrolled().await;
    }
    eventually(LIMIT, || async { (receiver.posted().len() == 120).then_some(()) }).await;
    eventually(LIMIT, || async { (receiver.hanging().0 == 1).then_some(()) }).await;
    let count = async |webhook: WebhookId, state: &str| {
        let sql = format!(
            "SELECT count(*) FROM notification.webhook_deliveries WHERE webhook_id = '{webhook}' AND state = '{state}'"
        );
        school.count(&sql).await
    };
    eventually(LIMIT, || async {
        (count(fast.id, "delivered").await == 120).then_some(())
    })
    .await;
    assert_eq!(count(slow.id, "pending").await, 120);
    // Let go one after the other, never two at once.
    for done in 1..=3 {
        receiver.let_go();
        eventually(LIMIT, || async {
            (count(slow.id, "delivered").await >= done).then_some(())
        })
        .await;
        eventually(LIMIT, || async { (receiver.hanging().0 == 1).then_some(()) }).await;
    }
    assert_eq!(receiver.hanging().1, 1);
    stop.cancel();
    receiver.let_go();
    for run in running {
        run.await.unwrap();
    }
}

#[tokio::test]
async fn nobody_reaches_the_inside_through_a_webhook() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let courier = Courier::new(false).unwrap();
    for (url, told) in [
        (format!("https://localhost:{port}/"), "public internet"),
        (format!("https://127.0.0.1:{port}/"), "public internet"),
        (format!("https://[::ffff:127.0.0.1]:{port}/"), "public internet"),
        (format!("https://2130706433:{port}/"), "public internet"),
        (format!("http://127.0.0.1:{port}/"), "https"),
    ] {
        let outcome = courier
            .post(Parcel {
                url: &url,
                id: "1",
                timestamp: 1,
                signatures: "v1,x",
                body: "{}",
            })
            .await;
        assert_eq!(outcome.status, None, "{url}");
        assert!(outcome.error.contains(told), "{url}: {}", outcome.error);
    }
    assert!(listener.accept().now_or_never().is_none(), "a connection came");
}

#[tokio::test]
async fn the_log_is_paged_by_state_and_goes_with_its_webhook() {
    let (school, receiver) = (School::open().await, Receiver::start().await);
    let (webhook, _) = school
        .webhook(&receiver.at("/hook"), &["enrollment.created"])
        .await;
    let dispatcher = School::dispatcher(&school.app, 1);
    for _ in 0..3 {
        school.enrolled().await;
    }
    while dispatcher.turn().await {}
    for _ in 0..2 {
        school.enrolled().await;
    }
    let page = async |state, token: Option<String>| {
        let (rows, next) = list_deliveries(&school.app, webhook.id, state, 2, token.as_deref())
            .await
            .unwrap();
        (rows.len(), next)
    };
    let (first, next) = page(Some("delivered"), None).await;
    let (second, end) = page(Some("delivered"), Some(next.clone())).await;
    assert_eq!((first, second, end.as_str()), (2, 1, ""));
    assert_eq!(page(Some("pending"), None).await, (2, String::new()));
    let foreign = list_deliveries(&school.app, webhook.id, None, 2, Some(&next)).await;
    assert_eq!(foreign.unwrap_err().code().name, "invalid_page_token");
    let admin = school.caller(webhook.created_by);
    delete::delete(&school.app, &admin, webhook.id).await.unwrap();
    let left = "SELECT count(*) FROM notification.webhook_deliveries";
    assert_eq!(school.count(left).await, 0);
    assert!(list(&school.app, 20, None).await.unwrap().0.is_empty());
    let again = delete::delete(&school.app, &admin, webhook.id).await.unwrap_err();
    assert_eq!(again.code().name, "not_found");
}

#[tokio::test]
async fn an_erased_persons_messages_go_and_the_word_of_the_erasure_stays() {
    let school = School::open().await;
    let types = ["user.registered", "user.erased"];
    let (webhook, _) = school.webhook("https://school.example.edu/x", &types).await;
    let ada = UserId::new(school.clock.now());
    let registered = UserRegistered {
        user_id: ada.into(),
        email: "ada@school.test".into(),
        ..UserRegistered::default()
    };
    school
        .happens(EventId::new(school.clock.now()), &registered)
        .await;
    let erased = UserErased {
        user_id: ada.into(),
        version: 2,
    };
    school.happens(EventId::new(school.clock.now()), &erased).await;
    school.erase(ada).await;
    let left = school.log(webhook.id).await;
    assert_eq!((left.len(), left[0].event_type.as_str()), (1, "user.erased"));
}

#[tokio::test]
async fn what_is_heard_of_an_erased_person_late_is_told_to_no_institution() {
    let school = School::open().await;
    let types = ["user.registered", "user.erased", "course.changed"];
    let (webhook, _) = school.webhook("https://school.example.edu/x", &types).await;
    let (ada, berk) = (UserId::new(school.clock.now()), UserId::new(school.clock.now()));
    school.erase(ada).await;
    // In one batch with others.
    let ids = [ada, berk].map(|user| (EventId::new(school.clock.now()), user));
    let deliveries = ids.map(|(id, user)| Delivery {
        id,
        subject: user.into(),
        event: UserRegistered {
            user_id: user.into(),
            email: format!("{user}@school.test"),
            ..UserRegistered::default()
        },
        occurred_at: school.clock.now(),
    });
    let app = Arc::clone(&school.app);
    let done = school.app.db.write(move |mut tx| async move {
        queue(&app, &mut tx, deliveries.into()).await?;
        Ok::<_, HandlerError>(tx.commit(()).await?)
    });
    done.await.unwrap();
    let log = school.log(webhook.id).await;
    let told: Vec<EventId> = log.iter().map(|one| one.message_id).collect();
    assert_eq!(told, [ids[1].0]);
    let bodies = format!("SELECT count(*) FROM notification.webhook_messages WHERE body LIKE '%{ada}%'");
    assert_eq!(school.count(&bodies).await, 0);
    // The word of the erasure itself, and what is about nobody.
    let erased = UserErased {
        user_id: ada.into(),
        version: 2,
    };
    school.happens(EventId::new(school.clock.now()), &erased).await;
    school
        .happens(EventId::new(school.clock.now()), &CourseChanged::default())
        .await;
    assert_eq!(school.log(webhook.id).await.len(), 3);
}

/// A field that is added to an event is told to institutions: this asks whether it should be.
#[tokio::test]
async fn what_institutions_are_told_has_these_fields_and_no_others() {
    fn fields<E: Event>() -> (&'static str, String) {
        let value = serde_json::to_value(E::default()).unwrap();
        let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        names.sort();
        (E::TYPE, names.join(" "))
    }
    let told = [
        fields::<UserRegistered>(),
        fields::<UserUpdated>(),
        fields::<UserErased>(),
        fields::<CourseChanged>(),
        fields::<EnrollmentCreated>(),
        fields::<EnrollmentStatusChanged>(),
        fields::<VideoCompleted>(),
        fields::<CourseVideosCompleted>(),
        fields::<ExamAttemptSubmitted>(),
        fields::<ExamAttemptGraded>(),
    ];
    let expected = [
        (
            "user.registered",
            "email email_verified full_name locale role time_zone user_id version",
        ),
        (
            "user.updated",
            "email email_verified full_name is_active locale role time_zone user_id version",
        ),
        ("user.erased", "user_id version"),
        (
            "course.changed",
            "category_id change course_id is_archived is_published prerequisite_ids teacher_id title version",
        ),
        (
            "enrollment.created",
            "actor_id course_id course_title enrollment_id status user_id version",
        ),
        (
            "enrollment.status_changed",
            "actor_id course_id course_title enrollment_id previous_status status user_id version",
        ),
        (
            "progress.video_completed",
            "course_id user_id video_id video_title",
        ),
        ("progress.course_completed", "course_id course_title user_id"),
        (
            "exam.attempt_submitted",
            "attempt_id course_id exam_id exam_title submitted_by user_id version",
        ),
        (
            "exam.attempt_graded",
            "attempt_id course_id exam_id exam_title is_released max_score passed score user_id version",
        ),
    ];
    for ((event_type, fields), (expected_type, expected)) in told.iter().zip(expected) {
        assert_eq!((*event_type, fields.as_str()), (expected_type, expected));
    }
    assert!(told.iter().map(|(event_type, _)| *event_type).eq(EVENT_TYPES));
    let school = School::open().await;
    assert!(crate::consumers::webhooks(&school.app).unhandled().is_empty());
    let all = CreateWebhookRequest {
        url: "https://school.example.edu".into(),
        event_types: EVENT_TYPES.map(String::from).to_vec(),
        description: String::new(),
    };
    assert!(all.check().is_ok());
}

#[tokio::test]
async fn there_are_as_many_as_there_may_be_and_urls_are_judged() {
    let school = School::open().await;
    let admin = school.admin(UserId::new(school.clock.now()));
    let make = async |url: &str| {
        let types = vec!["enrollment.created".to_owned()];
        create(&school.app, &admin, url, types, String::new()).await
    };
    let refused = make("ftp://school.example.edu/").await.map(drop).unwrap_err();
    assert_eq!(refused.code().name, "validation_failed");
    for _ in 0..100 {
        make("https://school.example.edu/").await.map(drop).unwrap();
    }
    let refused = make("https://school.example.edu/").await.map(drop).unwrap_err();
    assert_eq!(refused.code().name, "too_many_webhooks");
}

#[tokio::test]
async fn nobody_has_posted_to_them_what_they_may_not_read() {
    let school = School::open().await;
    let id = UserId::new(school.clock.now());
    let (webhook, _) = school
        .webhook("https://school.example.edu/x", &["user.registered"])
        .await;
    for (permission, refused) in [
        (permissions::USERS_READ, "exam.attempt_graded"),
        (permissions::COURSES_MANAGE, "user.updated"),
    ] {
        let caller = school.caller_with(id, &[permissions::INTEGRATIONS_MANAGE, permission]);
        let types = vec![refused.to_owned()];
        let made = create(
            &school.app,
            &caller,
            "https://a.example.edu/",
            types,
            String::new(),
        )
        .await;
        assert_eq!(
            made.map(drop).unwrap_err().code().name,
            "permission_denied",
            "{refused}"
        );
    }
    let caller = school.caller_with(id, &[permissions::COURSES_MANAGE]);
    let change = Change {
        url: Some("https://elsewhere.example.edu/".into()),
        ..Change::default()
    };
    let moved = update(&school.app, &caller, webhook.id, change)
        .await
        .unwrap_err();
    assert_eq!(moved.code().name, "permission_denied");
    assert_eq!(get(&school.app, webhook.id).await.unwrap().url, webhook.url);
}

#[tokio::test]
async fn what_is_a_month_old_is_forgotten() {
    let school = School::open().await;
    let (webhook, _) = school
        .webhook("https://school.example.edu/x", &["enrollment.created"])
        .await;
    school.enrolled().await;
    school.clock.advance(Duration::from_hours(24 * 20));
    school.enrolled().await;
    let before: OffsetDateTime = school.clock.now() - time::Duration::days(10);
    let purge = crate::storage::webhook_deliveries::purge;
    assert_eq!(purge(school.app.db.primary(), before, 10).await.unwrap(), 1);
    assert_eq!(school.log(webhook.id).await.len(), 1);
}

/// What is under way when a webhook moves is neither held against its new address nor given up, and nothing more goes to the old one.
#[tokio::test]
async fn a_webhook_that_moves_while_something_is_under_way_begins_anew() {
    let (school, old, new) = (
        School::open().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let (webhook, _) = school.webhook(&old.at("/slow"), &["enrollment.created"]).await;
    let first = school.enrolled().await;
    school.enrolled().await;
    old.answer(410);
    let dispatcher = School::dispatcher(&school.app, 1);
    let turn = tokio::spawn({
        let dispatcher = dispatcher.clone();
        async move { dispatcher.turn().await }
    });
    eventually(LIMIT, || async { (old.hanging().0 == 1).then_some(()) }).await;
    let admin = school.admin(UserId::new(school.clock.now()));
    let change = Change {
        url: Some(new.at("/hook")),
        ..Change::default()
    };
    update(&school.app, &admin, webhook.id, change).await.unwrap();
    old.let_go();
    assert!(turn.await.unwrap());
    let log = school.log(webhook.id).await;
    assert!(
        log.iter()
            .all(|one| (one.state.as_str(), one.attempts) == ("pending", 0)),
        "{log:?}"
    );
    let failures = "SELECT count(*) FROM notification.webhooks WHERE failures = 0 AND is_active";
    assert_eq!(school.count(failures).await, 1);
    school.clock.advance(Duration::from_secs(5));
    while dispatcher.turn().await {}
    assert_eq!((old.hanging().1, new.posted().len()), (1, 2));
    assert!(
        new.posted()
            .iter()
            .any(|posted| posted.header("webhook-id") == first.to_string())
    );
    let log = school.log(webhook.id).await;
    assert!(
        log.iter()
            .all(|one| (one.state.as_str(), one.attempts) == ("delivered", 1)),
        "{log:?}"
    );
}
