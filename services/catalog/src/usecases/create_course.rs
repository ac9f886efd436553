use access_token::{Caller, permissions};
use event_bus::outbox;
use problem::{Problem, codes};

use super::{ChangeError, events};
use crate::app::Catalog;
use crate::storage::courses::{self, Course, NewCourse};
use crate::teachers;

/// Creates a draft. Its teacher is the caller, or whom one who manages every course names.
pub async fn create_course(app: &Catalog, caller: &Caller, new: NewCourse) -> Result<Course, Problem> {
    let user = caller.user()?;
    if new.teacher_id == user.id {
        teachers::learn(app, user.id).await;
    } else {
        if !user.has(permissions::COURSES_MANAGE) {
            return Err(Problem::new(&codes::PERMISSION_DENIED));
        }
        if !teachers::is_known(app, new.teacher_id).await? {
            return Err(Problem::new(&codes::UNKNOWN_TEACHER));
        }
    }
    let caching = app.caching.clone();
    let created = app.db.write(move |mut tx| async move {
        if !courses::prerequisites_are_sound(&mut tx, new.id, &new.prerequisite_ids).await? {
            return Err(ChangeError::Refused(&codes::UNKNOWN_PREREQUISITE));
        }
        courses::insert(&mut tx, &new).await?;
        let course = courses::by_id(&mut *tx, new.id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        outbox::append(&mut tx, &events::course_changed(&course, "created")).await?;
        Ok(caching.commit(tx, new.id, course).await?)
    });
    Ok(created.await?)
}
