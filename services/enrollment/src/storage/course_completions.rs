//! Who has completed all videos of a course, whatever their enrolment was when that was told.

use sqlx::PgConnection;
use time::OffsetDateTime;
use typed_id::{CourseId, UserId};
use uuid::Uuid;

/// Keeps that these students have completed all videos of these courses, pairwise. In one order, so that nobody waits for each other.
/// Nothing is kept of an account that was erased, which has no name.
pub async fn keep(
    db: &mut PgConnection,
    users: &[Uuid],
    courses: &[Uuid],
    times: &[OffsetDateTime],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO enrollment.course_completions (user_id, course_id, completed_at)
         SELECT t.user_id, t.course_id, t.completed_at
         FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS t (user_id, course_id, completed_at)
         WHERE NOT EXISTS (SELECT FROM enrollment.users u WHERE u.id = t.user_id AND u.full_name = '')
         ORDER BY t.user_id, t.course_id
         ON CONFLICT (user_id, course_id) DO NOTHING",
        users,
        courses,
        times,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets a completion.
pub async fn take_back(db: &mut PgConnection, user: UserId, course: CourseId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM enrollment.course_completions WHERE user_id = $1 AND course_id = $2",
        user.0,
        course.0,
    )
    .execute(db)
    .await?;
    Ok(())
}
