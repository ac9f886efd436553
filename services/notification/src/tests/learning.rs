use contracts::events::v1::{CourseVideosCompleted, EnrollmentStatusChanged, ExamAttemptGraded};
use event_bus::{Delivery, HandlerError};
use typed_id::EventId;

use super::school::School;
use crate::consumers::{enrollments, learning};
use crate::domain::preference::{Category, Channel, Frequency};

const ID: &str = "0193b2a4-6c3e-7b1a-9f00-3f5f1f0d2a10";

/// What the broker may deliver again.
enum Told {
    Graded(ExamAttemptGraded),
    Completed(CourseVideosCompleted),
    Moved(Vec<EnrollmentStatusChanged>),
}

/// The consumer of it hears it three times over, as if the inbox had forgotten it.
async fn hear(school: &School, told: Told) {
    let id = EventId::new(school.clock.now());
    let ids: Vec<EventId> = (0..9).map(|_| EventId::new(school.clock.now())).collect();
    for _ in 0..3 {
        let (app, now) = (school.app.clone(), school.clock.now());
        let (told, ids) = (told.again(), ids.clone());
        let heard = school.app.db.write(move |mut tx| async move {
            match told {
                Told::Graded(event) => {
                    learning::attempt_graded(&app, &mut tx, delivery(id, now, event)).await?;
                }
                Told::Completed(event) => {
                    learning::course_completed(&app, &mut tx, delivery(id, now, event)).await?;
                }
                Told::Moved(events) => {
                    let deliveries = ids.into_iter().zip(events);
                    let deliveries = deliveries.map(|(id, event)| delivery(id, now, event)).collect();
                    enrollments::status_changed(&app, &mut tx, deliveries).await?;
                }
            }
            Ok::<_, HandlerError>(tx.commit(()).await?)
        });
        heard.await.unwrap();
    }
}

impl Told {
    fn again(&self) -> Self {
        match self {
            Self::Graded(event) => Self::Graded(event.clone()),
            Self::Completed(event) => Self::Completed(event.clone()),
            Self::Moved(events) => Self::Moved(events.clone()),
        }
    }
}

fn delivery<E>(id: EventId, occurred_at: time::OffsetDateTime, event: E) -> Delivery<E> {
    Delivery {
        id,
        subject: ID.into(),
        event,
        occurred_at,
    }
}

#[tokio::test]
async fn who_may_see_a_result_is_told_once_by_each_way_and_never_the_score() {
    let school = School::open().await;
    let ada = school.user().await;
    let graded = |is_released| ExamAttemptGraded {
        attempt_id: ID.into(),
        exam_title: "Midterm".into(),
        user_id: ada.user_id.into(),
        score: "871234".into(),
        max_score: "1000000".into(),
        passed: true,
        is_released,
        ..ExamAttemptGraded::default()
    };
    let entries = "SELECT count(*) FROM notification.notifications WHERE kind = 'exam.attempt_graded'";
    let mails = "SELECT count(*) FROM notification.mails WHERE kind = 'exam_graded' AND topic = 'exams'
                 AND subject = 'Your exam is graded: Midterm'";
    hear(&school, Told::Graded(graded(false))).await;
    assert_eq!((school.count(entries).await, school.count(mails).await), (0, 0));
    hear(&school, Told::Graded(graded(true))).await;
    assert_eq!((school.count(entries).await, school.count(mails).await), (1, 1));
    let leads = format!(
        "{mails} AND text_body LIKE '%https://school.test/exam-attempts/{ID}/result%'
         AND text_body || html_body || subject NOT LIKE '%87%'"
    );
    assert_eq!(school.count(&leads).await, 1);
    // Who wants no mails of exams gets the entry alone.
    let cells = [(Category::Exams, Channel::Email, Frequency::Off)];
    school.prefer(ada.user_id, &cells).await;
    hear(&school, Told::Graded(graded(true))).await;
    assert_eq!((school.count(entries).await, school.count(mails).await), (2, 1));
}

#[tokio::test]
async fn who_completes_a_course_is_congratulated_once_by_each_way() {
    let school = School::open().await;
    let ada = school.user().await;
    let event = CourseVideosCompleted {
        course_id: ID.into(),
        user_id: ada.user_id.into(),
        course_title: "Algebra".into(),
    };
    hear(&school, Told::Completed(event)).await;
    let entries = "SELECT count(*) FROM notification.notifications WHERE kind = 'progress.course_completed'";
    let mails =
        "SELECT count(*) FROM notification.mails WHERE kind = 'course_completed' AND topic = 'courses'
                 AND subject = 'Congratulations, you have completed Algebra'";
    assert_eq!((school.count(entries).await, school.count(mails).await), (1, 1));
}

#[tokio::test]
async fn students_are_told_what_others_did_to_their_enrolment_and_nothing_else() {
    let school = School::open().await;
    let (ada, berk, staff) = (school.user().await, school.user().await, school.user().await);
    let moved = |student: &str, status: &str, actor: &str| EnrollmentStatusChanged {
        enrollment_id: ID.into(),
        user_id: student.into(),
        course_id: ID.into(),
        course_title: "Algebra".into(),
        status: status.into(),
        actor_id: actor.into(),
        ..EnrollmentStatusChanged::default()
    };
    let id = |one: &crate::domain::message::Recipient| one.user_id.to_string();
    let (ada, berk, staff) = (id(&ada), id(&berk), id(&staff));
    // By themselves, by time, and by all videos.
    let own = vec![
        moved(&ada, "dropped", &ada),
        moved(&ada, "expired", ""),
        moved(&berk, "completed", ""),
    ];
    hear(&school, Told::Moved(own)).await;
    let count = async |status: &str| {
        let entries = format!(
            "SELECT count(*) FROM notification.notifications WHERE kind = 'enrollment.status_changed'
             AND body LIKE '%{status}%'"
        );
        let mails = format!(
            "SELECT count(*) FROM notification.mails WHERE kind = 'enrollment_changed' AND topic = 'courses'
             AND text_body LIKE '%{status}%' AND html_body LIKE '%{status}%'"
        );
        (school.count(&entries).await, school.count(&mails).await)
    };
    assert_eq!(count("").await, (0, 0));
    // One student several times in a batch, among others.
    let by_staff = vec![
        moved(&ada, "suspended", &staff),
        moved(&ada, "active", &staff),
        moved(&berk, "completed", &staff),
        moved(&berk, "dropped", &staff),
        moved(&ada, "expired", &staff),
    ];
    hear(&school, Told::Moved(by_staff)).await;
    assert_eq!(count("").await, (5, 5));
    for text in [
        "is suspended by",
        "is active again by",
        "was marked as completed by",
        "was cancelled by",
        "was ended by",
    ] {
        assert_eq!(count(text).await, (1, 1), "{text}");
    }
}
