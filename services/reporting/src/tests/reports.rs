use std::time::Duration;

use clock::Clock;
use problem::Language;
use request_context::RequestContext;
use service_runtime::OperationLimits;
use spreadsheet::Format;
use test_support::eventually;
use tokio_util::sync::CancellationToken;
use typed_id::UserId;
use uuid::Uuid;

use super::school::{School, completed, enrolled, graded, submitted, watched};
use crate::domain::report::ReportKind;
use crate::storage::operations;
use crate::usecases::clean::clean;
use crate::usecases::create_report::create_report;
use crate::usecases::held_operation;
use crate::usecases::write_report::work_once;

impl School {
    /// Makes a report to its end; its text.
    async fn report(
        &self,
        teacher: Uuid,
        course: typed_id::CourseId,
        kind: ReportKind,
        format: Format,
    ) -> Vec<u8> {
        let begun = create_report(&self.app, &self.caller(teacher), course, kind, format)
            .await
            .unwrap();
        assert_eq!((begun.state.as_str(), begun.done), ("running", 0));
        assert!(work_once(&self.app, &CancellationToken::new()).await.unwrap());
        let over = held_operation::get(&self.app, begun.id, UserId(teacher))
            .await
            .unwrap();
        assert_eq!((over.state.as_str(), over.fault.as_str()), ("succeeded", ""));
        assert_eq!(over.done, over.total);
        let file = held_operation::result(&self.app, begun.id, UserId(teacher), 0)
            .await
            .unwrap();
        assert_eq!((over.bytes, file.next_part), (file.content.len() as i64, 0));
        assert_eq!(file.name, format!("{kind}-{course}.{}", format.ending()));
        file.content
    }

    async fn text(
        &self,
        teacher: Uuid,
        course: typed_id::CourseId,
        kind: ReportKind,
        format: Format,
    ) -> String {
        String::from_utf8(self.report(teacher, course, kind, format).await).unwrap()
    }
}

/// Whoever asks while one comes to its end gets that one or a new one, and never two at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_asks_while_a_report_ends_gets_one() {
    let school = School::open().await;
    let (course, teacher) = school.course().await;
    let (caller, stop) = (school.caller(teacher), CancellationToken::new());
    let over = CancellationToken::new();
    let ask = async {
        for _ in 0..20 {
            let ask = || create_report(&school.app, &caller, course, ReportKind::Enrollments, Format::Csv);
            for begun in futures::future::join_all((0..10).map(|_| ask())).await {
                assert_eq!(begun.unwrap().state, "running");
            }
        }
        over.cancel();
    };
    let work = async {
        while !over.is_cancelled() {
            work_once(&school.app, &stop).await.unwrap();
        }
    };
    tokio::join!(ask, work);
}

#[tokio::test]
async fn reports_tell_what_happened_and_no_cell_is_a_formula() {
    let school = School::open().await;
    let (course, teacher) = school.course().await;
    let (first, second, gone) = (school.id(), school.id(), school.id());
    school
        .execute(format!(
            "INSERT INTO reporting.videos VALUES ('{first}', 1, '{course}', false), ('{second}', 1, '{course}', false),
                 ('{gone}', 2, '{course}', true)"
        ))
        .await;
    let ada = school.student(course, "=HYPERLINK(1)").await;
    let berk = school.student(course, "Şahin; Berk").await;
    let (attempt, now) = (school.id(), school.clock.now());
    school.hear(enrolled(ada, course), now).await;
    school.hear(watched(ada, course, first), now).await;
    school.hear(watched(ada, course, gone), now).await;
    school.hear(submitted(ada, course, attempt, 2), now).await;
    school.hear(submitted(ada, course, attempt, 4), now).await;
    school.hear(graded(ada, course, attempt, 5, 4), now).await;
    school.hear(graded(ada, course, attempt, 6, 7), now).await;
    school.clock.advance(Duration::from_mins(1));
    let later = school.clock.now();
    school.hear(completed(ada, course), later).await;
    let (at, after) = ("2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z");

    let text = school
        .text(teacher, course, ReportKind::Enrollments, Format::Csv)
        .await;
    assert_eq!(
        text,
        format!(
            "student_id,full_name,status,enrolled_at,last_active_at\r\n\
             {ada},\"'=HYPERLINK(1)\",active,{at},{after}\r\n\
             {berk},Şahin; Berk,active,,\r\n"
        )
    );
    let text = school
        .text(teacher, course, ReportKind::Progress, Format::CsvTurkish)
        .await;
    assert_eq!(
        text,
        format!(
            "\u{feff}student_id;full_name;status;videos_completed;video_count;completed_percent;course_completed_at;last_active_at\r\n\
             {ada};\"'=HYPERLINK(1)\";active;1;2;50;{after};{after}\r\n\
             {berk};\"Şahin; Berk\";active;0;2;0;;\r\n"
        )
    );
    let text = school
        .text(teacher, course, ReportKind::Results, Format::Csv)
        .await;
    assert_eq!(
        text,
        format!(
            "student_id,full_name,exam_title,attempt_id,submitted_at,submitted_by,score_percent,passed,graded_at\r\n\
             {ada},\"'=HYPERLINK(1)\",\"'=Quiz\",{attempt},2027-01-15T07:59:53.5Z,student,70,yes,{at}\r\n"
        )
    );
    let text = school
        .text(teacher, course, ReportKind::Activity, Format::Csv)
        .await;
    assert_eq!(text.lines().count(), 9, "{text}");
    assert!(text.lines().nth(1).unwrap().starts_with(at));
    let book = school
        .report(teacher, course, ReportKind::Results, Format::Xlsx)
        .await;
    assert!(book.starts_with(b"PK"));
}

#[tokio::test]
async fn a_report_of_many_pages_shows_how_far_it_is() {
    let school = School::open().await;
    let (course, teacher) = school.course().await;
    school
        .execute(format!(
            "INSERT INTO reporting.users SELECT gen_random_uuid(), 1, 'S' || n FROM generate_series(1, 1203) AS n;
             INSERT INTO reporting.enrollments SELECT id, '{course}', 1, 'active' FROM reporting.users"
        ))
        .await;
    // While it is made, each page tells how far it is and renews the lease.
    school
        .execute(
            "CREATE TABLE reporting.seen (done integer, total integer);
             CREATE FUNCTION reporting.see() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO reporting.seen VALUES (NEW.done, NEW.total); RETURN NEW; END $$;
             CREATE TRIGGER see AFTER UPDATE ON reporting.operations FOR EACH ROW EXECUTE FUNCTION reporting.see()"
                .to_owned(),
        )
        .await;
    let text = school
        .text(teacher, course, ReportKind::Enrollments, Format::Csv)
        .await;
    assert_eq!(text.lines().count(), 1_204);
    let seen: Vec<(i32, i32)> =
        sqlx::query_as("SELECT DISTINCT done, total FROM reporting.seen WHERE total > 0 ORDER BY 1")
            .fetch_all(school.app.db.primary())
            .await
            .unwrap();
    assert_eq!(seen, [(0, 1203), (500, 1203), (1000, 1203), (1203, 1203)]);
}

#[tokio::test]
async fn only_its_owner_sees_a_report_and_the_same_is_not_made_twice_at_a_time() {
    let school = School::open().await;
    let (course, teacher) = school.course().await;
    let caller = school.caller(teacher);
    let begin = |kind| create_report(&school.app, &caller, course, kind, Format::Csv);
    let begun = begin(ReportKind::Results).await.unwrap();
    assert_eq!(begin(ReportKind::Results).await.unwrap().id, begun.id);
    assert_ne!(begin(ReportKind::Progress).await.unwrap().id, begun.id);
    let stranger = school.id();
    for (id, user) in [(begun.id, stranger), (stranger, teacher)] {
        let refused = held_operation::get(&school.app, id, UserId(user))
            .await
            .unwrap_err();
        assert_eq!(refused.code().name, "not_found");
    }
    let early = held_operation::result(&school.app, begun.id, UserId(teacher), 0)
        .await
        .unwrap_err();
    assert_eq!(early.code().name, "not_found");
    let refused = create_report(
        &school.app,
        &school.caller(stranger),
        course,
        ReportKind::Results,
        Format::Csv,
    )
    .await;
    assert_eq!(refused.unwrap_err().code().name, "permission_denied");
    // Two workers, two reports; and then none.
    let never = CancellationToken::new();
    let (a, b) = tokio::join!(work_once(&school.app, &never), work_once(&school.app, &never));
    assert!(a.unwrap() && b.unwrap() && !work_once(&school.app, &never).await.unwrap());
    assert_ne!(
        begin(ReportKind::Results).await.unwrap().id,
        begun.id,
        "it is over"
    );
}

#[tokio::test]
async fn a_report_whose_maker_died_is_made_by_another_and_who_was_overtaken_says_nothing() {
    let school = School::open().await;
    let (course, teacher) = school.course().await;
    let begun = create_report(
        &school.app,
        &school.caller(teacher),
        course,
        ReportKind::Results,
        Format::Csv,
    )
    .await
    .unwrap();
    let (db, now) = (school.app.db.primary(), school.clock.now());
    let lease = time::Duration::seconds(60);
    let dead = operations::claim(db, now, now + lease).await.unwrap().unwrap();
    let never = CancellationToken::new();
    assert!(!work_once(&school.app, &never).await.unwrap(), "it is leased");
    school.clock.advance(Duration::from_secs(61));
    assert!(work_once(&school.app, &never).await.unwrap());
    let over = held_operation::get(&school.app, begun.id, UserId(teacher))
        .await
        .unwrap();
    assert_eq!(over.state, "succeeded");
    // The dead one comes back.
    operations::fail(db, &dead, "no", now).await.unwrap();
    assert!(!operations::progress(db, &dead, 1, 2, now).await.unwrap());
    let still = held_operation::get(&school.app, begun.id, UserId(teacher))
        .await
        .unwrap();
    assert_eq!(still, over);
}

#[tokio::test]
async fn a_storage_that_is_away_costs_tries_and_then_the_report() {
    let school = School::open().await;
    let (course, teacher) = school.course().await;
    let begun = create_report(
        &school.app,
        &school.caller(teacher),
        course,
        ReportKind::Results,
        Format::Csv,
    )
    .await
    .unwrap();
    // A file where the folder would be.
    std::fs::write(school.folder.path().join("reports"), "in the way").unwrap();
    let never = CancellationToken::new();
    for attempt in 1..=3 {
        let waits = held_operation::get(&school.app, begun.id, UserId(teacher))
            .await
            .unwrap();
        assert_eq!(waits.state, "running", "before try {attempt}");
        assert!(work_once(&school.app, &never).await.unwrap());
        assert!(!work_once(&school.app, &never).await.unwrap(), "not at once");
        school.clock.advance(Duration::from_secs(30));
    }
    let over = held_operation::get(&school.app, begun.id, UserId(teacher))
        .await
        .unwrap();
    assert_eq!(over.state, "failed");
    assert!(
        over.fault.starts_with("The report could not be made"),
        "{}",
        over.fault
    );
}

#[tokio::test]
async fn results_expire_and_files_of_nobody_go() {
    let school = School::open().await;
    // The clock of files is the system's.
    let ahead = Clock::system().now() - school.clock.now();
    school
        .clock
        .advance(ahead.unsigned_abs() + Duration::from_secs(5));
    let (course, teacher) = school.course().await;
    school
        .report(teacher, course, ReportKind::Results, Format::Csv)
        .await;
    let mut orphan = school
        .app
        .storage
        .writer("reports/0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10.csv");
    orphan.write(b"x".to_vec()).await.unwrap();
    orphan.finish().await.unwrap();
    let files = || {
        std::fs::read_dir(school.folder.path().join("reports"))
            .unwrap()
            .count()
    };
    assert_eq!(files(), 2);
    assert_eq!(
        clean(&school.app).await.unwrap(),
        "removed 0 reports, 1 files, the name of 0 lines"
    );
    assert_eq!(files(), 1);
    school.clock.advance(Duration::from_hours(8 * 24));
    assert_eq!(
        clean(&school.app).await.unwrap(),
        "removed 1 reports, 1 files, the name of 0 lines"
    );
    assert_eq!(files(), 0);
}

/// A report that hangs is asked to stop after the soft limit, and when it goes on hanging dropped after the hard one.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_takes_too_long_has_failed_by_a_name_of_its_own() {
    for (hard_limit_seconds, let_go) in [(2, false), (60, true)] {
        let school = School::open_with(OperationLimits {
            soft_limit_seconds: 1,
            hard_limit_seconds,
        })
        .await;
        let (course, teacher) = school.course().await;
        let caller = school.caller(teacher);
        let begun = create_report(&school.app, &caller, course, ReportKind::Activity, Format::Csv);
        let begun = begun.await.unwrap();
        // Whoever reads the activity waits for this transaction.
        let mut gate = school.app.db.pool().acquire().await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE reporting.activity IN ACCESS EXCLUSIVE MODE")
            .execute(&mut *gate)
            .await
            .unwrap();
        let since = std::time::Instant::now();
        let app = std::sync::Arc::clone(&school.app);
        let worked = tokio::spawn(async move { work_once(&app, &CancellationToken::new()).await });
        if let_go {
            eventually(Duration::from_secs(30), || async {
                (since.elapsed() > Duration::from_millis(1_500)).then_some(())
            })
            .await;
            assert!(!worked.is_finished());
            sqlx::raw_sql("ROLLBACK").execute(&mut *gate).await.unwrap();
        }
        let over = eventually(Duration::from_secs(30), || async {
            let found = held_operation::get(&school.app, begun.id, UserId(teacher))
                .await
                .unwrap();
            (found.state != "running").then_some(found)
        })
        .await;
        assert_eq!(
            (over.state.as_str(), over.fault.as_str()),
            ("failed", "operation_timeout")
        );
        assert!(worked.await.unwrap().unwrap());
        let again = over.clone();
        let shown = contracts::auth::v1::Operation::from(over);
        assert_eq!(shown.fault_code, "operation_timeout");
        assert!(shown.fault.starts_with("It took longer") && shown.result_path.is_empty());
        let turkish = RequestContext {
            language: Language::Tr,
            ..RequestContext::default()
        };
        let read = request_context::scope(turkish, async { contracts::auth::v1::Operation::from(again) });
        assert_eq!(read.await.fault, problem::codes::OPERATION_TIMEOUT.tr);
        // It is over: nobody takes it up again.
        assert!(!work_once(&school.app, &CancellationToken::new()).await.unwrap());
    }
}
