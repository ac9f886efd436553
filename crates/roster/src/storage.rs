//! The tables, in the schema of whoever uses them: the search path of its role decides.

use contracts::catalog::v1::CourseState;
use contracts::enrollment::v1::EnrollmentState;
use contracts::events::v1::{CourseChanged, EnrollmentCreated, EnrollmentStatusChanged};
use sqlx::{PgExecutor, query, query_as};
use typed_id::{CourseId, InvalidId, UserId};
use uuid::Uuid;

/// What is kept of a course.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Course {
    pub id: CourseId,
    pub version: i32,
    pub title: String,
    pub teacher_id: UserId,
    pub is_published: bool,
    pub is_archived: bool,
}

impl Course {
    /// Whether students may see it.
    pub fn is_open(&self) -> bool {
        self.is_published && !self.is_archived
    }
}

/// What is kept of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Enrollment {
    pub user_id: UserId,
    pub course_id: CourseId,
    pub version: i32,
    pub status: String,
}

impl Enrollment {
    /// Those who have completed a course may look again.
    pub fn may_learn(&self) -> bool {
        matches!(self.status.as_str(), "active" | "completed")
    }
}

pub async fn course(db: impl PgExecutor<'_>, id: CourseId) -> Result<Option<Course>, sqlx::Error> {
    query_as("SELECT id, version, title, teacher_id, is_published, is_archived FROM courses WHERE id = $1")
        .bind(id)
        .fetch_optional(db)
        .await
}

/// Writes the projection unless it knows a newer version.
pub async fn keep_course(db: impl PgExecutor<'_>, course: &Course) -> Result<(), sqlx::Error> {
    query(
        "INSERT INTO courses AS c (id, version, title, teacher_id, is_published, is_archived)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET
             version = excluded.version, title = excluded.title, teacher_id = excluded.teacher_id,
             is_published = excluded.is_published, is_archived = excluded.is_archived
         WHERE c.version < excluded.version",
    )
    .bind(course.id)
    .bind(course.version)
    .bind(&course.title)
    .bind(course.teacher_id)
    .bind(course.is_published)
    .bind(course.is_archived)
    .execute(db)
    .await?;
    Ok(())
}

pub async fn enrollment(
    db: impl PgExecutor<'_>,
    user: UserId,
    course: CourseId,
) -> Result<Option<Enrollment>, sqlx::Error> {
    query_as(
        "SELECT user_id, course_id, version, status FROM enrollments WHERE user_id = $1 AND course_id = $2",
    )
    .bind(user)
    .bind(course)
    .fetch_optional(db)
    .await
}

/// Writes the projection of each unless it knows a newer version.
pub async fn keep_enrollments(db: impl PgExecutor<'_>, all: &[Enrollment]) -> Result<(), sqlx::Error> {
    let users: Vec<Uuid> = all.iter().map(|enrollment| enrollment.user_id.0).collect();
    let courses: Vec<Uuid> = all.iter().map(|enrollment| enrollment.course_id.0).collect();
    let versions: Vec<i32> = all.iter().map(|enrollment| enrollment.version).collect();
    let states: Vec<&str> = all.iter().map(|enrollment| enrollment.status.as_str()).collect();
    query(
        "INSERT INTO enrollments AS e (user_id, course_id, version, status)
         SELECT DISTINCT ON (user_id, course_id) user_id, course_id, version, status
         FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[]) AS told (user_id, course_id, version, status)
         ORDER BY user_id, course_id, version DESC
         ON CONFLICT (user_id, course_id) DO UPDATE SET version = excluded.version, status = excluded.status
         WHERE e.version < excluded.version",
    )
    .bind(users)
    .bind(courses)
    .bind(versions)
    .bind(states)
    .execute(db)
    .await?;
    Ok(())
}

/// Id, version and name of each user, at once.
pub async fn keep_users(db: impl PgExecutor<'_>, users: &[(UserId, i32, String)]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = users.iter().map(|(id, ..)| id.0).collect();
    let versions: Vec<i32> = users.iter().map(|(_, version, _)| *version).collect();
    let names: Vec<&str> = users.iter().map(|(.., name)| name.as_str()).collect();
    query(
        "INSERT INTO users AS u (id, version, full_name)
         SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[])
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, full_name = excluded.full_name
         WHERE u.version < excluded.version",
    )
    .bind(ids)
    .bind(versions)
    .bind(names)
    .execute(db)
    .await?;
    Ok(())
}

impl TryFrom<CourseState> for Course {
    type Error = InvalidId;

    fn try_from(state: CourseState) -> Result<Self, InvalidId> {
        Ok(Self {
            id: state.course_id.parse()?,
            version: state.version,
            title: state.title,
            teacher_id: state.teacher_id.parse()?,
            is_published: state.is_published,
            is_archived: state.is_archived,
        })
    }
}

impl TryFrom<CourseChanged> for Course {
    type Error = InvalidId;

    fn try_from(event: CourseChanged) -> Result<Self, InvalidId> {
        Ok(Self {
            id: event.course_id.parse()?,
            version: event.version,
            title: event.title,
            teacher_id: event.teacher_id.parse()?,
            is_published: event.is_published,
            is_archived: event.is_archived,
        })
    }
}

macro_rules! enrollment_from {
    ($($message:ty),+) => {$(
        impl TryFrom<$message> for Enrollment {
            type Error = InvalidId;

            fn try_from(told: $message) -> Result<Self, InvalidId> {
                Ok(Self {
                    user_id: told.user_id.parse()?,
                    course_id: told.course_id.parse()?,
                    version: told.version,
                    status: told.status,
                })
            }
        }
    )+};
}
enrollment_from!(EnrollmentState, EnrollmentCreated, EnrollmentStatusChanged);
