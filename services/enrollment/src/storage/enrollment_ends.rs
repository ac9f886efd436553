//! Sections and ends of enrolments.

use sqlx::PgConnection;
use time::OffsetDateTime;
use typed_id::{EnrollmentId, SectionId};
use uuid::Uuid;

use crate::storage::enrollments::Enrollment;

/// Puts an enrolment into a section and gives it an end.
pub async fn place(
    db: &mut PgConnection,
    id: EnrollmentId,
    section: Option<SectionId>,
    expires_at: Option<OffsetDateTime>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE enrollment.enrollments SET section_id = $2, expires_at = $3 WHERE id = $1",
        id.0,
        section.map(|id| id.0),
        expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The same for several at once.
pub async fn place_all(db: &mut PgConnection, placed: &[Enrollment]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = placed.iter().map(|one| one.id.0).collect();
    let sections: Vec<Option<Uuid>> = placed.iter().map(|one| one.section_id.map(|id| id.0)).collect();
    let ends: Vec<Option<OffsetDateTime>> = placed.iter().map(|one| one.expires_at).collect();
    sqlx::query!(
        "UPDATE enrollment.enrollments AS e SET section_id = new.section_id, expires_at = new.expires_at
         FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS new (id, section_id, expires_at)
         WHERE e.id = new.id",
        &ids,
        &sections as &[Option<Uuid>],
        &ends as &[Option<OffsetDateTime>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Moves the end of a section's enrolments, but of those that have one of their own.
pub async fn move_ends(
    db: &mut PgConnection,
    section: SectionId,
    from: Option<OffsetDateTime>,
    to: Option<OffsetDateTime>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE enrollment.enrollments SET expires_at = $3 WHERE section_id = $1 AND expires_at IS NOT DISTINCT FROM $2",
        section.0,
        from,
        to,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// An enrolment whose time is over.
pub struct Due {
    pub id: EnrollmentId,
    pub status: String,
    pub course_title: String,
}

/// Locks active enrolments whose time is over; who is suspended stays so, or waiting would let them in again. Those that others work on are left for the next look.
pub async fn lock_due(
    db: &mut PgConnection,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Due>, sqlx::Error> {
    struct Row {
        id: Uuid,
        status: String,
        course_title: String,
    }
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT e.id AS "id!", e.status AS "status!", coalesce(c.title, '') AS "course_title!"
           FROM enrollment.enrollments e LEFT JOIN enrollment.courses c ON c.id = e.course_id
           WHERE e.status = 'active' AND e.expires_at <= $1
           ORDER BY e.expires_at LIMIT $2 FOR UPDATE OF e SKIP LOCKED"#,
        now,
        limit,
    )
    .fetch_all(db)
    .await?;
    let due = rows.into_iter().map(|row| Due {
        id: EnrollmentId(row.id),
        status: row.status,
        course_title: row.course_title,
    });
    Ok(due.collect())
}
