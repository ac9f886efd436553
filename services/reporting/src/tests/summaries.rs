use contracts::events::v1::WeeklySummaryMade;
use time::Duration;
use time::macros::{date, datetime};

use super::school::{School, completed, enrolled, graded, submitted, watched};
use crate::usecases::make_weekly_summaries::make_weekly_summaries;

const MONDAY: time::OffsetDateTime = datetime!(2027-01-10 21:00 UTC);

async fn told(school: &School) -> Vec<WeeklySummaryMade> {
    let payloads: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT payload FROM reporting.outbox WHERE type = 'report.weekly_summary_made' ORDER BY id",
    )
    .fetch_all(school.app.db.primary())
    .await
    .unwrap();
    payloads
        .iter()
        .map(|payload| serde_json::from_slice(payload).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_teacher_is_told_of_a_week_once() {
    let school = School::open().await;
    let (course, teacher) = school.course().await;
    let (quiet, _) = school.course().await;
    let (ada, berk, attempt) = (school.id(), school.id(), school.id());
    let at = |days: i64| MONDAY + Duration::days(days);
    school.hear(enrolled(ada, course), at(0)).await;
    school.hear(enrolled(berk, course), at(6)).await;
    school.hear(watched(ada, course, school.id()), at(1)).await;
    school.hear(completed(ada, course), at(2)).await;
    school.hear(submitted(ada, course, attempt, 2), at(3)).await;
    school.hear(graded(ada, course, attempt, 3, 5), at(3)).await;
    school.hear(graded(ada, course, attempt, 4, 9), at(4)).await;
    // Of the weeks around it.
    school.hear(enrolled(school.id(), quiet), at(-1)).await;
    school.hear(enrolled(school.id(), quiet), at(7)).await;

    let next_monday = date!(2027 - 01 - 18);
    let runs = (0..4).map(|_| make_weekly_summaries(&school.app, next_monday));
    let runs: usize = futures::future::join_all(runs)
        .await
        .into_iter()
        .map(Result::unwrap)
        .sum();
    assert_eq!(runs, 1, "four instances at once");
    assert_eq!(
        make_weekly_summaries(&school.app, date!(2027 - 01 - 20))
            .await
            .unwrap(),
        0
    );
    let expected = WeeklySummaryMade {
        teacher_id: teacher.into(),
        first_day: "2027-01-11".into(),
        last_day: "2027-01-17".into(),
        courses: 1,
        active_students: 2,
        enrollments: 2,
        videos_completed: 1,
        courses_completed: 1,
        attempts_submitted: 1,
        attempts_graded: 1,
        average_score_percent: Some(90.0),
    };
    assert_eq!(told(&school).await, [expected]);
    // Another week is another matter.
    assert_eq!(
        make_weekly_summaries(&school.app, date!(2027 - 01 - 25))
            .await
            .unwrap(),
        1
    );
}
