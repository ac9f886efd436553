//! Who is who in a course, as one service knows it: its teacher, its students, their names.
//!
//! A service that uses it has the tables `courses`, `enrollments` and `users` in its own schema (`migrations/*/*_roster.sql`), feeds
//! them with [`subscriptions`], and asks their owner by gRPC once when it does not know enough: a student who enrolled a moment ago is
//! let in, and while the owners are away, what is known decides.

mod storage;
mod subscriptions;

use std::time::Duration;

use access_token::{Caller, User};
use contracts::auth::v1::{BatchGetUsersRequest, rpc::BatchGetUsers};
use contracts::catalog::v1::{GetCourseStateRequest, rpc::GetCourseState};
use contracts::enrollment::v1::{GetEnrollmentStateRequest, rpc::GetEnrollmentState};
use moka::sync::Cache;
use postgres::{Database, problem_of};
use problem::{Problem, codes};
use rpc_client::RpcClient;
use typed_id::{CourseId, UserId};

pub use storage::{Course, Enrollment};
pub use subscriptions::{courses, enrollments, subscriptions};

/// A service's view of the courses and of who is in them.
#[derive(Clone)]
pub struct Roster {
    db: Database,
    auth: RpcClient,
    catalog: RpcClient,
    enrollment: RpcClient,
    courses: Cache<CourseId, Course>,
    /// Who may learn where. That somebody may not is never kept: they may have enrolled a moment ago.
    learners: Cache<(UserId, CourseId), ()>,
}

/// What changed is seen after this at the latest.
const FRESH: Duration = Duration::from_secs(2);
const KEPT: u64 = 50_000;

impl Roster {
    pub fn new(db: Database, auth: RpcClient, catalog: RpcClient, enrollment: RpcClient) -> Self {
        Self {
            db,
            auth,
            catalog,
            enrollment,
            courses: Cache::builder().max_capacity(KEPT).time_to_live(FRESH).build(),
            learners: Cache::builder().max_capacity(KEPT).time_to_live(FRESH).build(),
        }
    }

    /// The course, asking the catalogue for one that is unknown or, as far as known, not `enough`.
    pub async fn course(
        &self,
        id: CourseId,
        enough: impl Fn(&Course) -> bool,
    ) -> Result<Option<Course>, Problem> {
        if let Some(near) = self.courses.get(&id).filter(&enough) {
            return Ok(Some(near));
        }
        let known = storage::course(self.db.primary(), id).await.map_err(problem_of)?;
        if let Some(course) = known.as_ref().filter(|course| enough(course)) {
            self.courses.insert(id, course.clone());
            return Ok(known);
        }
        let request = GetCourseStateRequest { id: id.into() };
        match self.catalog.call_as_service::<GetCourseState>(request).await {
            Ok(answer) => {
                let course = Course::try_from(answer.into_inner()).map_err(Problem::internal)?;
                storage::keep_course(self.db.primary(), &course)
                    .await
                    .map_err(problem_of)?;
                // Read back: an event may have brought a newer version in between.
                storage::course(self.db.primary(), id).await.map_err(problem_of)
            }
            Err(status) => match Problem::from(status) {
                problem if problem.code() == &codes::NOT_FOUND => Ok(known),
                _ if known.is_some() => Ok(known),
                problem => Err(problem),
            },
        }
    }

    /// Whether the user may learn in the course now, asking enrollment for one who, as far as known, may not.
    pub async fn is_enrolled(&self, user: UserId, course: CourseId) -> Result<bool, Problem> {
        if self.learners.contains_key(&(user, course)) {
            return Ok(true);
        }
        let known = storage::enrollment(self.db.primary(), user, course)
            .await
            .map_err(problem_of)?;
        if known.as_ref().is_some_and(Enrollment::may_learn) {
            self.learners.insert((user, course), ());
            return Ok(true);
        }
        let request = GetEnrollmentStateRequest {
            user_id: user.into(),
            course_id: course.into(),
        };
        match self
            .enrollment
            .call_as_service::<GetEnrollmentState>(request)
            .await
        {
            Ok(answer) => {
                let fresh = Enrollment::try_from(answer.into_inner()).map_err(Problem::internal)?;
                storage::keep_enrollments(self.db.primary(), std::slice::from_ref(&fresh))
                    .await
                    .map_err(problem_of)?;
                Ok(fresh.may_learn())
            }
            Err(status) => match Problem::from(status) {
                problem if problem.code() == &codes::NOT_FOUND => Ok(false),
                _ if known.is_some() => Ok(false),
                problem => Err(problem),
            },
        }
    }

    /// A course that the caller teaches or manages. Who may not even see it learns nothing of it.
    pub async fn staff_course(&self, caller: &Caller, id: CourseId) -> Result<Course, Problem> {
        let user = caller.user()?;
        match self.course(id, |course| is_staff(user, course)).await? {
            Some(course) if is_staff(user, &course) => Ok(course),
            Some(course) if course.is_open() => Err(Problem::new(&codes::PERMISSION_DENIED)),
            _ => Err(Problem::new(&codes::NOT_FOUND)),
        }
    }

    /// A course that the caller learns in. `not_enrolled` for one that they could see, nothing at all of others.
    pub async fn learner_course(&self, user: &User, id: CourseId) -> Result<Course, Problem> {
        let course = self
            .course(id, Course::is_open)
            .await?
            .filter(|course| course.is_open() || is_staff(user, course))
            .ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
        if !self.is_enrolled(user.id, id).await? {
            return Err(Problem::new(&codes::NOT_ENROLLED));
        }
        Ok(course)
    }

    /// A course that the caller learns in or is staff of; tells which.
    pub async fn member_course(&self, user: &User, id: CourseId) -> Result<(Course, bool), Problem> {
        let course = self
            .course(id, |course| course.is_open() || is_staff(user, course))
            .await?
            .filter(|course| course.is_open() || is_staff(user, course))
            .ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
        if is_staff(user, &course) {
            return Ok((course, true));
        }
        if !self.is_enrolled(user.id, id).await? {
            return Err(Problem::new(&codes::NOT_ENROLLED));
        }
        Ok((course, false))
    }

    /// Asks auth for the names of users who are not known yet. Lists without some names are better than none.
    pub async fn learn_names(&self, users: &[UserId]) -> bool {
        let request = BatchGetUsersRequest {
            ids: users.iter().map(UserId::to_string).collect(),
        };
        let Ok(answer) = self.auth.call_as_service::<BatchGetUsers>(request).await else {
            return false;
        };
        let found: Vec<_> = answer
            .into_inner()
            .users
            .into_iter()
            .filter_map(|user| Some((user.user_id.parse().ok()?, user.version, user.full_name)))
            .collect();
        storage::keep_users(self.db.primary(), &found).await.is_ok()
    }
}

/// Whether the user is staff of the course.
pub fn is_staff(user: &User, course: &Course) -> bool {
    user.is_staff_of(course.teacher_id)
}
