//! The service on a real database, without its server. The owners of the projections are not there.

mod completion;
mod roster;
mod sections;

use std::collections::HashMap;

use access_token::permissions::COURSES_WRITE;
use access_token::{Caller, User as CallerUser};
use clock::Clock;
use postgres::PageTokens;
use request_context::RequestContext;
use rpc_client::{RpcClient, RpcSettings};
use sqlx::AssertSqlSafe;
use test_support::TestDatabase;
use time::OffsetDateTime;
use typed_id::{CourseId, SessionId, UserId};

use crate::app::Enrollment as App;
use crate::domain::status::Status;
use crate::storage::courses::{self, Course};
use crate::storage::users::{self, User};
use crate::usecases::change_status::{Change, change_status};
use crate::usecases::drop_course::drop_course;
use crate::usecases::enroll::enroll;
use crate::usecases::import_enrollments::{Outcome, RowReport, Source, Wanted, apply, import_enrollments};

struct School {
    app: App,
    course: Course,
    teacher: Caller,
    _database: TestDatabase,
}

fn nobody(name: &'static str) -> RpcClient {
    let settings: RpcSettings = serde_json::from_str(r#"{"timeout_seconds": 1, "connections": 1}"#).unwrap();
    RpcClient::new(name, "http://127.0.0.1:1", &settings, None).unwrap()
}

fn caller(id: UserId, now: OffsetDateTime) -> Caller {
    Caller::User(std::sync::Arc::new(CallerUser {
        id,
        session_id: SessionId::new(now),
        impersonator: None,
        key_id: String::new(),
        token_id: String::new(),
        roles: Vec::new(),
        // A student with it is nobody's teacher yet.
        permissions: vec![COURSES_WRITE.to_owned()].into(),
        issued_at: now,
        expires_at: now + time::Duration::hours(1),
    }))
}

impl School {
    async fn open(seat_limit: Option<i32>) -> Self {
        Self::open_at(Clock::system(), seat_limit).await
    }

    async fn open_at(clock: Clock, seat_limit: Option<i32>) -> Self {
        let database = TestDatabase::new("enrollment").await;
        let now = clock.now();
        let teacher = UserId::new(now);
        let app = App::new(
            database.database(),
            clock,
            PageTokens::new(b"a key"),
            nobody("auth"),
            nobody("catalog"),
        );
        let course = Course {
            id: CourseId::new(now),
            version: 1,
            title: "Matematik".into(),
            teacher_id: teacher,
            is_published: true,
            is_archived: false,
            seat_limit,
            prerequisite_ids: Vec::new(),
        };
        courses::upsert(app.db.primary(), &course).await.unwrap();
        Self {
            app,
            course,
            teacher: caller(teacher, now),
            _database: database,
        }
    }

    fn people(&self, count: usize) -> HashMap<String, User> {
        let now = self.app.clock.now();
        let user = |n: usize| User {
            id: UserId::new(now),
            version: 1,
            full_name: format!("Öğrenci {n}"),
            email_verified: false,
            is_active: true,
        };
        (0..count).map(|n| (format!("{n}@okul.test"), user(n))).collect()
    }

    async fn import(
        &self,
        rows: &[(&str, Option<&str>)],
        known: &HashMap<String, User>,
        dry_run: bool,
    ) -> Vec<RowReport> {
        let wanted = rows.iter().enumerate().map(|(at, (email, status))| Wanted {
            line: at as u64 + 2,
            email: (*email).to_owned(),
            status: status.map(|status| status.parse().unwrap()),
        });
        let mut reports = apply(
            &self.app,
            self.teacher.user().unwrap().id,
            &self.course,
            wanted.collect(),
            known,
            dry_run,
        )
        .await
        .unwrap();
        reports.sort_by_key(|report| report.line);
        reports
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(self.app.db.primary())
            .await
            .unwrap()
    }

    /// Statuses with their versions, by address of the student.
    async fn statuses(&self) -> Vec<String> {
        let sql = "SELECT u.full_name || ' ' || e.status || ' ' || e.version FROM enrollment.enrollments e
                   JOIN enrollment.users u ON u.id = e.user_id ORDER BY 1";
        self.texts(sql).await
    }

    async fn events(&self) -> Vec<String> {
        self.texts("SELECT type FROM enrollment.outbox ORDER BY type")
            .await
    }
}

fn told(reports: &[RowReport]) -> Vec<&'static str> {
    reports
        .iter()
        .map(|report| match &report.outcome {
            Outcome::Refused { code, .. } => *code,
            outcome => outcome.name(),
        })
        .collect()
}

#[tokio::test]
async fn a_roster_is_taken_row_by_row_and_the_same_again_changes_nothing() {
    let school = School::open(Some(3)).await;
    let mut known = school.people(6);
    known.get_mut("5@okul.test").unwrap().is_active = false;
    let rows = [
        ("0@okul.test", None),
        ("nobody@okul.test", None),
        ("1@okul.test", Some("suspended")),
        ("0@okul.test", Some("dropped")),
        ("2@okul.test", Some("completed")),
        ("3@okul.test", Some("active")),
        ("4@okul.test", None),
        ("5@okul.test", None),
    ];
    let first = [
        "created",
        "unknown_user",
        "created",
        "email_repeated",
        "created",
        "created",
        "course_full",
        "unknown_user",
    ];
    assert_eq!(told(&school.import(&rows, &known, true).await), first);
    assert!(school.statuses().await.is_empty() && school.events().await.is_empty());

    assert_eq!(told(&school.import(&rows, &known, false).await), first);
    let expected = [
        "Öğrenci 0 active 1",
        "Öğrenci 1 suspended 2",
        "Öğrenci 2 completed 2",
        "Öğrenci 3 active 1",
    ];
    assert_eq!(school.statuses().await, expected);
    let (created, changed) = ("enrollment.created", "enrollment.status_changed");
    let events = [created, created, created, created, changed, changed];
    assert_eq!(school.events().await, events);
    let actors = "SELECT DISTINCT convert_from(payload, 'UTF8')::json ->> 'actor_id' FROM enrollment.outbox";
    let staff = school.teacher.user().unwrap().id;
    assert_eq!(school.texts(actors).await, [staff.to_string()]);

    let again = school.import(&rows, &known, false).await;
    assert!(
        !told(&again)
            .iter()
            .any(|told| ["created", "updated"].contains(told))
    );
    assert_eq!(
        (school.statuses().await, school.events().await.len()),
        (expected.map(str::to_owned).to_vec(), 6)
    );

    // Who leaves makes room for who comes after; states move as staff may move them.
    let rows = [
        ("0@okul.test", Some("dropped")),
        ("1@okul.test", None),
        ("2@okul.test", Some("dropped")),
        ("4@okul.test", None),
    ];
    let moved = ["updated", "enrollment_suspended", "illegal_transition", "created"];
    assert_eq!(told(&school.import(&rows, &known, true).await), moved);
    assert_eq!(told(&school.import(&rows, &known, false).await), moved);
    let rows = [
        ("4@okul.test", Some("expired")),
        ("0@okul.test", None),
        ("1@okul.test", Some("active")),
    ];
    let again = school.import(&rows, &known, false).await;
    assert_eq!(told(&again), ["updated", "updated", "updated"]);
    let now = [
        "Öğrenci 0 active 3",
        "Öğrenci 1 active 3",
        "Öğrenci 2 completed 2",
        "Öğrenci 3 active 1",
        "Öğrenci 4 expired 2",
    ];
    assert_eq!(school.statuses().await, now);
}

#[tokio::test]
async fn ten_thousand_rows_take_a_few_statements_a_batch() {
    let school = School::open(Some(9_000)).await;
    let known = school.people(10_000);
    let emails: Vec<String> = (0..10_000).map(|n| format!("{n}@okul.test")).collect();
    let rows: Vec<(&str, Option<&str>)> = emails.iter().map(|email| (email.as_str(), None)).collect();
    let dry = school.import(&rows, &known, true).await;
    assert_eq!(
        told(&dry).iter().filter(|told| **told == "created").count(),
        9_000
    );
    let (reports, queries) = test_support::count_queries(school.import(&rows, &known, false)).await;
    assert_eq!(reports, dry);
    assert_eq!(school.events().await.len(), 9_000);
    assert!((20..=20 * 8).contains(&queries.count()), "{}", queries.count());
}

#[tokio::test]
async fn concurrent_imports_keep_the_seats() {
    let school = School::open(Some(500)).await;
    let known = school.people(1_200);
    let emails: Vec<String> = known.keys().cloned().collect();
    let rows: Vec<(&str, Option<&str>)> = emails.iter().map(|email| (email.as_str(), None)).collect();
    let (front, back) = (&rows[..800], &rows[400..]);
    let (a, b) = futures::join!(
        school.import(front, &known, false),
        school.import(back, &known, false)
    );
    let created = |reports: &[RowReport]| told(reports).iter().filter(|told| **told == "created").count();
    assert_eq!(created(&a) + created(&b), 500);
    assert_eq!(school.events().await.len(), 500);
}

#[tokio::test]
async fn files_that_cannot_be_taken_are_refused_whole() {
    let school = School::open(None).await;
    let import = async |content: String, course_code: Option<&str>| {
        let source = Source {
            bytes: content.into_bytes(),
            course_code: course_code.map(str::to_owned),
            dry_run: false,
        };
        import_enrollments(&school.app, &school.teacher, school.course.id, source).await
    };
    let code = |problem: problem::Problem| problem.fields()[0].code.to_string();
    let courses = "email,course\na@okul.test,M1\nb@okul.test,M2\n";
    assert_eq!(code(import(courses.into(), None).await.unwrap_err()), "required");
    assert_eq!(code(import(String::new(), None).await.unwrap_err()), "empty");
    let many = "a@okul.test\n".repeat(20_001);
    assert_eq!(
        code(import(format!("email\n{many}"), None).await.unwrap_err()),
        "too_many_rows"
    );
    // Rows that need no answer of auth, which is not there.
    let id = school.course.id;
    let other = CourseId::new(school.app.clock.now());
    let text = format!(
        "email,course_id,status,role\na@okul.test,{other},,\nb@okul.test,{id},gone,\nc@okul.test,{id},,teacher\nno,,,\n"
    );
    let reports = import(text, None).await.unwrap();
    assert_eq!(
        told(&reports),
        ["other_course", "status_unknown", "not_a_student", "email_invalid"]
    );
    let reports = import(courses.into(), Some("M3")).await.unwrap();
    assert_eq!(told(&reports), ["other_course", "other_course"]);
}

fn student(id: UserId) -> Caller {
    caller(id, Clock::system().now())
}

#[tokio::test(flavor = "multi_thread")]
async fn enrolments_that_arrive_together_are_judged_one_by_one() {
    let school = School::open(Some(50)).await;
    let mut people: Vec<User> = school.people(120).into_values().collect();
    people.iter_mut().for_each(|user| user.email_verified = true);
    people.sort_by_key(|user| user.id);
    // One whom neither this service nor auth, which is away, knows to be verified.
    people[7].email_verified = false;
    users::upsert(school.app.db.primary(), &people).await.unwrap();
    let tabs = people.iter().flat_map(|user| [user.id, user.id]).enumerate();
    let enrolling = tabs.map(|(tab, id)| {
        let context = RequestContext::for_event(Some(&format!("tab-{tab}")), None);
        let (app, course) = (&school.app, school.course.id);
        request_context::scope(
            context,
            async move { enroll(app, &student(id), course, None).await },
        )
    });
    let outcomes = futures::future::join_all(enrolling).await;
    let codes: Vec<&str> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().err())
        .map(|problem| problem.code().name)
        .collect();
    let count = |code: &str| codes.iter().filter(|found| **found == code).count();
    assert_eq!(
        (count("course_full"), count("email_not_verified"), codes.len()),
        (138, 2, 140)
    );
    let new = outcomes
        .iter()
        .flatten()
        .filter(|enrolled| enrolled.is_new)
        .count();
    assert_eq!((new, outcomes.iter().flatten().count()), (50, 100));
    assert_eq!(school.statuses().await.len(), 50);
    let causes = school
        .texts("SELECT DISTINCT request_id FROM enrollment.outbox")
        .await;
    assert_eq!(causes.len(), 50, "each event names its own request");
}

#[tokio::test]
async fn who_comes_back_or_lacks_a_prerequisite_is_told_so() {
    let school = School::open(None).await;
    let now = school.app.clock.now();
    let draft = Course {
        id: CourseId::new(now),
        title: "Gizli".into(),
        is_published: false,
        ..school.course.clone()
    };
    let advanced = Course {
        id: CourseId::new(now),
        prerequisite_ids: vec![school.course.id.0, draft.id.0],
        ..school.course.clone()
    };
    for course in [&draft, &advanced] {
        courses::upsert(school.app.db.primary(), course).await.unwrap();
    }
    let mut ada = school.people(1).into_values().next().unwrap();
    ada.email_verified = true;
    users::upsert(school.app.db.primary(), &[ada.clone()])
        .await
        .unwrap();
    let ada = student(ada.id);
    let refused = enroll(&school.app, &ada, advanced.id, None).await.unwrap_err();
    assert_eq!(refused.code().name, "prerequisite_missing");
    let needed = serde_json::json!([
        {"id": school.course.id.to_string(), "title": school.course.title},
        {"id": draft.id.to_string(), "title": ""},
    ]);
    assert_eq!(refused.members()["missing_prerequisites"], needed);
    assert_eq!(refused.detail(), Some("Complete first: Matematik."));
    let open = Course {
        version: 2,
        prerequisite_ids: vec![school.course.id.0],
        ..advanced.clone()
    };
    courses::upsert(school.app.db.primary(), &open).await.unwrap();
    let first = enroll(&school.app, &ada, school.course.id, None).await.unwrap();
    drop_course(&school.app, &ada, school.course.id).await.unwrap();
    let again = enroll(&school.app, &ada, school.course.id, None).await.unwrap();
    assert!(again.is_new && again.enrollment.id == first.enrollment.id && again.enrollment.version == 3);
    let teacher = &school.teacher;
    let completed = Change {
        status: Some(Status::Completed),
        ..Change::default()
    };
    change_status(&school.app, teacher, first.enrollment.id, completed)
        .await
        .unwrap();
    assert!(enroll(&school.app, &ada, advanced.id, None).await.unwrap().is_new);
    let still = enroll(&school.app, &ada, school.course.id, None).await.unwrap();
    assert_eq!(
        (still.is_new, still.enrollment.status),
        (false, Status::Completed)
    );
    let refused = enroll(&school.app, &ada, CourseId::new(now), None)
        .await
        .unwrap_err();
    assert_ne!(
        refused.code().name,
        "not_found",
        "the catalogue could not be asked"
    );
}
