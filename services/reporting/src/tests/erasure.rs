use spreadsheet::Format;
use typed_id::UserId;

use super::school::{School, enrolled, graded, registered, submitted};
use crate::domain::report::ReportKind;
use crate::personal_data::PERSONAL_DATA;
use crate::usecases::clean::clean;
use crate::usecases::create_report::create_report;

#[tokio::test]
async fn who_is_erased_leaves_figures_and_no_trace() {
    let school = School::open().await;
    let (course, teacher) = school.course().await;
    let ada = school.student(course, "Ada").await;
    let (attempt, now) = (school.id(), school.clock.now());
    school.hear(registered(ada), now).await;
    school.hear(enrolled(ada, course), now).await;
    school.hear(submitted(ada, course, attempt, 1), now).await;
    school.hear(graded(ada, course, attempt, 2, 9), now).await;
    create_report(
        &school.app,
        &school.caller(teacher),
        course,
        ReportKind::Results,
        Format::Csv,
    )
    .await
    .unwrap();
    let held = personal_data::export(&school.app.db, UserId(ada), PERSONAL_DATA)
        .await
        .unwrap();
    let activity = held["activity"].as_array().unwrap();
    assert_eq!(activity.len(), 4);
    assert!(!held["activity"].to_string().contains("score"), "not released");
    let held = personal_data::export(&school.app.db, UserId(teacher), PERSONAL_DATA)
        .await
        .unwrap();
    assert_eq!(held["reports"].as_array().unwrap().len(), 1);

    for user in [ada, teacher] {
        let erased = school.app.db.write(move |mut tx| async move {
            personal_data::erase(&mut tx, UserId(user), 2, PERSONAL_DATA).await?;
            tx.commit(()).await
        });
        let erased: Result<(), postgres::WriteError> = erased.await;
        erased.unwrap();
    }
    // An event that comes late, and one that came between.
    school.hear(registered(ada), now).await;
    let held = personal_data::export(&school.app.db, UserId(ada), PERSONAL_DATA)
        .await
        .unwrap();
    assert!(held["activity"].as_array().unwrap().is_empty());
    let traces =
        format!("SELECT count(*) FROM reporting.activity WHERE '{ada}' IN (user_id, subject_id, actor_id)");
    // The enrolment's id is the student's in this test.
    assert_eq!(school.count(&traces).await, 0);
    school
        .execute(format!(
            "UPDATE reporting.activity SET user_id = '{ada}', actor_id = '{ada}' WHERE kind = 'enrollment.created'"
        ))
        .await;
    clean(&school.app).await.unwrap();
    assert_eq!(school.count(&traces).await, 0);
    assert_eq!(school.count("SELECT count(*) FROM reporting.activity").await, 5);
    assert_eq!(
        school
            .count("SELECT count(DISTINCT user_id) FROM reporting.activity WHERE user_id IS NOT NULL")
            .await,
        1
    );
    assert_eq!(school.count("SELECT count(*) FROM reporting.operations").await, 0);
    let names = format!("SELECT count(*) FROM reporting.users WHERE id = '{ada}' AND full_name = ''");
    assert_eq!(school.count(&names).await, 1);
}
