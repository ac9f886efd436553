use access_token::{Caller, permissions};
use contracts::catalog::v1::CourseDetail;
use problem::{Problem, codes};
use typed_id::CourseId;

use super::may_see;
use crate::app::Catalog;
use crate::grpc::convert::detail;
use crate::storage::courses::{self, Course};
use crate::storage::{topics, videos};

/// A course with its topics and videos. Three queries, or none for what is cached.
pub async fn get_course(app: &Catalog, caller: &Caller, id: CourseId) -> Result<CourseDetail, Problem> {
    let not_found = || Problem::new(&codes::NOT_FOUND);
    // Staff see drafts, and their own changes at once: they are few, and never served from the cache.
    if caller.has(permissions::COURSES_WRITE) {
        let course = find(app, id)
            .await?
            .filter(|course| may_see(caller, course))
            .ok_or_else(not_found)?;
        return load(app, course).await;
    }
    let from_database = || async {
        let course = find(app, id)
            .await?
            .filter(Course::is_open)
            .ok_or_else(not_found)?;
        load(app, course).await
    };
    app.caching.detail(id, from_database).await
}

/// The state of a course, for other services.
pub async fn get_state(app: &Catalog, id: CourseId) -> Result<Course, Problem> {
    find(app, id)
        .await?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}

async fn find(app: &Catalog, id: CourseId) -> Result<Option<Course>, Problem> {
    courses::by_id(app.db.primary(), id)
        .await
        .map_err(postgres::problem_of)
}

async fn load(app: &Catalog, course: Course) -> Result<CourseDetail, Problem> {
    let (id, db) = (course.id(), app.db.primary());
    let topics = topics::of_course(db, id).await.map_err(postgres::problem_of)?;
    let videos = videos::of_course(db, id).await.map_err(postgres::problem_of)?;
    Ok(detail(course, topics, &videos))
}
