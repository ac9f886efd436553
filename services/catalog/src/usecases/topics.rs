use std::collections::BTreeSet;

use access_token::Caller;
use problem::{Problem, codes};
use typed_id::{CourseId, TopicId};
use uuid::Uuid;

use super::{ChangeError, lock_for_staff, staff_course};
use crate::app::Catalog;
use crate::storage::topics::{self, Topic};

/// One page of a course's topics in order, for its staff; the token is empty on the last one.
pub async fn list(
    app: &Catalog,
    caller: &Caller,
    course: CourseId,
    size: i64,
    token: Option<&str>,
) -> Result<(Vec<Topic>, String), Problem> {
    staff_course(app, caller, course).await?;
    let scope = format!("topics:{course}");
    let after: Option<(i32, Uuid)> = app.pages.open(&scope, token)?;
    let mut rows = topics::page(app.db.primary(), course, after, size + 1)
        .await
        .map_err(postgres::problem_of)?;
    let next = app
        .pages
        .cut(&scope, &mut rows, size, |last| (last.order_index, last.id));
    Ok((rows, next))
}

/// A topic, for the staff of its course.
pub async fn get(app: &Catalog, caller: &Caller, id: TopicId) -> Result<Topic, Problem> {
    let topic = topics::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    staff_course(app, caller, CourseId(topic.course_id)).await?;
    Ok(topic)
}

pub async fn create(
    app: &Catalog,
    caller: &Caller,
    course: CourseId,
    title: String,
    order_index: Option<i32>,
) -> Result<Topic, Problem> {
    let (caller, caching, now) = (caller.clone(), app.caching.clone(), app.clock.now());
    let created = app.db.write(move |mut tx| async move {
        lock_for_staff(&mut tx, &caller, course).await?;
        let topic =
            topics::insert(&mut tx, TopicId::new(now), course, title.trim(), order_index, now).await?;
        Ok::<_, ChangeError>(caching.commit(tx, course, topic).await?)
    });
    Ok(created.await?)
}

pub async fn update(
    app: &Catalog,
    caller: &Caller,
    id: TopicId,
    title: Option<String>,
    order_index: Option<i32>,
) -> Result<Topic, Problem> {
    let (caller, caching, now) = (caller.clone(), app.caching.clone(), app.clock.now());
    let updated = app.db.write(move |mut tx| async move {
        let not_found = ChangeError::Refused(&codes::NOT_FOUND);
        let Some(course) = topics::course_of(&mut *tx, id).await? else {
            return Err(not_found);
        };
        lock_for_staff(&mut tx, &caller, course).await?;
        let topic = topics::update(&mut tx, id, title.as_deref(), order_index, now)
            .await?
            .ok_or(not_found)?;
        Ok::<_, ChangeError>(caching.commit(tx, course, topic).await?)
    });
    Ok(updated.await?)
}

/// Deletes a topic; its videos stay in the course.
pub async fn delete(app: &Catalog, caller: &Caller, id: TopicId) -> Result<(), Problem> {
    let (caller, caching) = (caller.clone(), app.caching.clone());
    let deleted = app.db.write(move |mut tx| async move {
        let course = topics::course_of(&mut *tx, id)
            .await?
            .ok_or(ChangeError::Refused(&codes::NOT_FOUND))?;
        lock_for_staff(&mut tx, &caller, course).await?;
        topics::delete(&mut tx, id).await?;
        Ok::<_, ChangeError>(caching.commit(tx, course, ()).await?)
    });
    Ok(deleted.await?)
}

/// Puts all topics of a course in the given order.
pub async fn reorder(
    app: &Catalog,
    caller: &Caller,
    course: CourseId,
    ids: Vec<Uuid>,
) -> Result<Vec<Topic>, Problem> {
    let (caller, caching, now) = (caller.clone(), app.caching.clone(), app.clock.now());
    let reordered = app.db.write(move |mut tx| async move {
        lock_for_staff(&mut tx, &caller, course).await?;
        let known: BTreeSet<Uuid> = topics::of_course(&mut *tx, course)
            .await?
            .iter()
            .map(|topic| topic.id)
            .collect();
        if known != ids.iter().copied().collect() {
            return Err(ChangeError::Refused(&codes::UNKNOWN_TOPIC));
        }
        topics::reorder(&mut tx, course, &ids, now).await?;
        let topics = topics::of_course(&mut *tx, course).await?;
        Ok::<_, ChangeError>(caching.commit(tx, course, topics).await?)
    });
    Ok(reordered.await?)
}
