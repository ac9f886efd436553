use access_token::Caller;
use event_bus::outbox::Cause;
use problem::{Problem, codes};
use serde_json::json;
use typed_id::{CourseId, SectionId};
use uuid::Uuid;

use super::take_seats::{Application, Enrolled, Refused, Wish};
use crate::app::Enrollment as App;
use crate::projections;
use crate::storage::courses::{self, Course};

/// Enrols the caller in a published course, and where it has several sections in the one that they choose. What is known here decides, unless it would refuse: then the owner of what is missing is
/// asked once, and the judgement is made again.
pub async fn enroll(
    app: &App,
    caller: &Caller,
    course: CourseId,
    section: Option<SectionId>,
) -> Result<Enrolled, Problem> {
    let student = caller.user()?;
    let application = Application {
        user_id: student.id,
        course_id: course,
        wish: Wish {
            section,
            ..Wish::default()
        },
        at: app.clock.now(),
        actor: student.id,
        cause: Cause::current(),
    };
    let (mut asked_catalog, mut asked_auth) = (false, false);
    loop {
        let refused = match app.seats.write(course, application.clone()).await? {
            Ok(enrolled) => return Ok(enrolled),
            Err(refused) => refused,
        };
        match refused {
            Refused::NotOpen if !asked_catalog => {
                asked_catalog = true;
                projections::course(app, course, Course::is_open)
                    .await?
                    .filter(Course::is_open)
                    .ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
            }
            Refused::NotVerified if !asked_auth => {
                asked_auth = true;
                if !projections::is_verified(app, student).await? {
                    return Err(refused.into());
                }
            }
            Refused::PrerequisiteMissing(courses) => return Err(missing(app, &courses).await?),
            refused => return Err(refused.into()),
        }
    }
}

/// Says which courses are missing, so that a client can lead there. Of one that students may not see, the id alone.
async fn missing(app: &App, courses: &[Uuid]) -> Result<Problem, Problem> {
    let titles = courses::open_titles(app.db.primary(), courses)
        .await
        .map_err(postgres::problem_of)?;
    let title = |id: &Uuid| titles.get(id).map(String::as_str);
    let missing: Vec<_> = courses
        .iter()
        .map(|id| json!({"id": id.to_string(), "title": title(id).unwrap_or_default()}))
        .collect();
    let problem = Problem::new(&codes::PREREQUISITE_MISSING).with_member("missing_prerequisites", missing);
    let named: Vec<&str> = courses.iter().filter_map(title).collect();
    if named.is_empty() {
        return Ok(problem);
    }
    let named = named.join(", ");
    Ok(problem.with_detail(format!("Complete first: {named}.")))
}
