use std::time::Duration;

use access_token::Caller;
use event_bus::outbox::Cause;
use problem::{Problem, codes};
use typed_id::{CourseId, SectionId};
use uuid::Uuid;

use super::take_seats::{Application, Enrolled, Refused, Wish, prerequisites_missing};
use crate::app::Enrollment as App;
use crate::projections;
use crate::storage::courses::{self, Course};

/// For a catalogue that does not answer a refusal is not kept back longer.
const CATALOG_WAIT: Duration = Duration::from_secs(2);

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
            // What the course asks for may have changed a moment ago; the refusal stands where the catalogue cannot be asked.
            Refused::PrerequisiteMissing(_) if !asked_catalog => {
                asked_catalog = true;
                let asked = projections::course(app, course, |_| false);
                if let Ok(asked) = tokio::time::timeout(CATALOG_WAIT, asked).await {
                    asked?;
                }
            }
            Refused::PrerequisiteMissing(courses) => return Err(missing(app, &courses).await?),
            refused => return Err(refused.into()),
        }
    }
}

/// Says which courses are missing, so that a client can lead there. Of one that students may not see, the id alone.
async fn missing(app: &App, missing: &[Uuid]) -> Result<Problem, Problem> {
    let titles = courses::open_titles(app.db.primary(), missing)
        .await
        .map_err(postgres::problem_of)?;
    Ok(prerequisites_missing(missing, &titles))
}
