use access_token::{Caller, permissions};
use event_bus::outbox;
use problem::{Problem, codes};
use typed_id::{CourseId, UserId};
use uuid::Uuid;

use super::{ChangeError, check_staff, events, lock_for_staff};
use crate::app::Catalog;
use crate::storage::courses::{self, Course};
use crate::teachers;

/// What may change of a course; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub title: Option<String>,
    pub description: Option<String>,
    /// `Some(None)` takes it out of its category.
    pub category_id: Option<Option<Uuid>>,
    pub code: Option<String>,
    pub academic_year: Option<String>,
    /// `Some(None)` lifts the limit.
    pub seat_limit: Option<Option<i32>>,
    pub prerequisite_ids: Option<Vec<Uuid>>,
    pub teacher_id: Option<UserId>,
}

pub async fn update_course(
    app: &Catalog,
    caller: &Caller,
    id: CourseId,
    changes: Changes,
) -> Result<Course, Problem> {
    if let Some(teacher) = changes.teacher_id {
        if !caller.has(permissions::COURSES_MANAGE) {
            return Err(Problem::new(&codes::PERMISSION_DENIED));
        }
        if !teachers::is_known(app, teacher).await? {
            return Err(Problem::new(&codes::UNKNOWN_TEACHER));
        }
    }
    let (caller, caching, now) = (caller.clone(), app.caching.clone(), app.clock.now());
    let updated = app.db.write(move |mut tx| async move {
        let mut course = lock_for_staff(&mut tx, &caller, id).await?;
        let wanted = changes.prerequisite_ids;
        if let Some(ids) = wanted.filter(|ids| *ids != course.prerequisite_ids) {
            courses::lock_prerequisites(&mut tx).await?;
            if !courses::prerequisites_are_sound(&mut tx, id, &ids).await? {
                return Err(ChangeError::Refused(&codes::UNKNOWN_PREREQUISITE));
            }
            course.prerequisite_ids = ids;
        }
        course.title = changes.title.unwrap_or(course.title);
        course.description = changes.description.unwrap_or(course.description);
        course.category_id = changes.category_id.unwrap_or(course.category_id);
        course.code = changes.code.unwrap_or(course.code);
        course.academic_year = changes.academic_year.unwrap_or(course.academic_year);
        course.seat_limit = changes.seat_limit.unwrap_or(course.seat_limit);
        course.teacher_id = changes.teacher_id.map_or(course.teacher_id, |teacher| teacher.0);
        courses::update(&mut tx, &course, now).await?;
        let course = courses::by_id(&mut *tx, id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        outbox::append(&mut tx, &events::course_changed(&course, "updated")).await?;
        Ok::<_, ChangeError>(caching.commit(tx, id, course).await?)
    });
    Ok(updated.await?)
}

/// Shows a course to everybody, or hides it. As it is already: nothing happens.
pub async fn set_published(
    app: &Catalog,
    caller: &Caller,
    id: CourseId,
    published: bool,
) -> Result<Course, Problem> {
    let (caller, caching, now) = (caller.clone(), app.caching.clone(), app.clock.now());
    let changed = app.db.write(move |mut tx| async move {
        let mut course = lock_for_staff(&mut tx, &caller, id).await?;
        if course.is_published == published {
            let unchanged = tx.rollback(course).await?;
            // Who changed it may have ended before it was forgotten.
            caching.forget(&[id]).await;
            return Ok(unchanged);
        }
        course.is_published = published;
        if published {
            course.published_at = course.published_at.or(Some(now));
        }
        courses::update(&mut tx, &course, now).await?;
        let course = courses::by_id(&mut *tx, id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        let change = if published { "published" } else { "unpublished" };
        outbox::append(&mut tx, &events::course_changed(&course, change)).await?;
        Ok::<_, ChangeError>(caching.commit(tx, id, course).await?)
    });
    Ok(changed.await?)
}

/// Takes a course out of the catalogue for good. Again: nothing happens.
pub async fn archive_course(app: &Catalog, caller: &Caller, id: CourseId) -> Result<(), Problem> {
    let (caller, caching, now) = (caller.clone(), app.caching.clone(), app.clock.now());
    let archived = app.db.write(move |mut tx| async move {
        let course = courses::lock(&mut tx, id)
            .await?
            .ok_or(ChangeError::Refused(&codes::NOT_FOUND))?;
        check_staff(&caller, &course)?;
        if !course.is_active {
            let unchanged = tx.rollback(()).await?;
            // As in `set_published`.
            caching.forget(&[id]).await;
            return Ok(unchanged);
        }
        courses::update(
            &mut tx,
            &Course {
                is_active: false,
                is_published: false,
                ..course
            },
            now,
        )
        .await?;
        let course = courses::by_id(&mut *tx, id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        outbox::append(&mut tx, &events::course_changed(&course, "archived")).await?;
        Ok::<_, ChangeError>(caching.commit(tx, id, ()).await?)
    });
    Ok(archived.await?)
}
