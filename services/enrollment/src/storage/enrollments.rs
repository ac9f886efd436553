use std::collections::{HashMap, HashSet};

use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{CourseId, EnrollmentId, SectionId, UserId};
use uuid::Uuid;

use super::CorruptRow;
use crate::domain::status::Status;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    pub id: EnrollmentId,
    pub user_id: UserId,
    pub course_id: CourseId,
    pub status: Status,
    pub version: i32,
    pub enrolled_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub section_id: Option<SectionId>,
    /// `None`: never.
    pub expires_at: Option<OffsetDateTime>,
}

struct Row {
    id: Uuid,
    user_id: Uuid,
    course_id: Uuid,
    status: String,
    version: i32,
    enrolled_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    section_id: Option<Uuid>,
    expires_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Enrollment {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, Self::Error> {
        let status = row.status.parse();
        let corrupt = CorruptRow {
            table: "enrollments",
            column: "status",
            row: row.id,
        };
        Ok(Self {
            id: EnrollmentId(row.id),
            user_id: UserId(row.user_id),
            course_id: CourseId(row.course_id),
            status: status.map_err(|_| corrupt)?,
            version: row.version,
            enrolled_at: row.enrolled_at,
            updated_at: row.updated_at,
            section_id: row.section_id.map(SectionId),
            expires_at: row.expires_at,
        })
    }
}

/// An enrolment as lists show it.
#[derive(Debug, Clone)]
pub struct Listed {
    pub enrollment: Enrollment,
    /// `None` while the projection has not heard of the course.
    pub course_title: Option<String>,
    /// `None` while the projection has not heard of the user.
    pub full_name: Option<String>,
    /// Name and term.
    pub section: Option<(String, String)>,
}

/// Inserts a new enrolment; `None` when the student has one in the course, in whatever state.
pub async fn insert(
    db: &mut PgConnection,
    id: EnrollmentId,
    user: UserId,
    course: CourseId,
    now: OffsetDateTime,
) -> Result<Option<Enrollment>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "INSERT INTO enrollment.enrollments (id, user_id, course_id, status, enrolled_at, updated_at)
         VALUES ($1, $2, $3, 'active', $4, $4)
         ON CONFLICT (user_id, course_id) DO NOTHING
         RETURNING id, user_id, course_id, status, version, enrolled_at, updated_at, section_id, expires_at",
        id.0,
        user.0,
        course.0,
        now,
    )
    .fetch_optional(db)
    .await?
    .map(Enrollment::try_from)
    .transpose()
}

/// Moves an enrolment to `status`; `enrolled_at` begins anew when it is given. What becomes active has no end in the past.
pub async fn set_status(
    db: &mut PgConnection,
    id: EnrollmentId,
    status: Status,
    enrolled_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<Enrollment, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "UPDATE enrollment.enrollments
         SET status = $2, enrolled_at = coalesce($3, enrolled_at), updated_at = $4, version = version + 1,
             expires_at = CASE WHEN $2 = 'active' AND expires_at <= $4 THEN NULL ELSE expires_at END
         WHERE id = $1
         RETURNING id, user_id, course_id, status, version, enrolled_at, updated_at, section_id, expires_at",
        id.0,
        status.as_str(),
        enrolled_at,
        now,
    )
    .fetch_one(db)
    .await?
    .try_into()
}

pub async fn by_user_and_course(
    db: impl PgExecutor<'_>,
    user: UserId,
    course: CourseId,
) -> Result<Option<Enrollment>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, user_id, course_id, status, version, enrolled_at, updated_at, section_id, expires_at
         FROM enrollment.enrollments WHERE user_id = $1 AND course_id = $2",
        user.0,
        course.0,
    )
    .fetch_optional(db)
    .await?
    .map(Enrollment::try_from)
    .transpose()
}

/// As [`by_user_and_course`], and nobody else may change it until the transaction ends.
pub async fn lock_by_user_and_course(
    db: &mut PgConnection,
    user: UserId,
    course: CourseId,
) -> Result<Option<Enrollment>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, user_id, course_id, status, version, enrolled_at, updated_at, section_id, expires_at
         FROM enrollment.enrollments WHERE user_id = $1 AND course_id = $2 FOR UPDATE",
        user.0,
        course.0,
    )
    .fetch_optional(db)
    .await?
    .map(Enrollment::try_from)
    .transpose()
}

/// The students' enrolments in the course; with `lock`, nobody else may change them until the transaction ends.
pub async fn of_users(
    db: &mut PgConnection,
    course: CourseId,
    users: &[Uuid],
    lock: bool,
) -> Result<Vec<Enrollment>, sqlx::Error> {
    let rows = if lock {
        sqlx::query_as!(
            Row,
            "SELECT id, user_id, course_id, status, version, enrolled_at, updated_at, section_id, expires_at
             FROM enrollment.enrollments WHERE course_id = $1 AND user_id = ANY($2) ORDER BY id FOR UPDATE",
            course.0,
            users,
        )
        .fetch_all(db)
        .await?
    } else {
        sqlx::query_as!(
            Row,
            "SELECT id, user_id, course_id, status, version, enrolled_at, updated_at, section_id, expires_at
             FROM enrollment.enrollments WHERE course_id = $1 AND user_id = ANY($2)",
            course.0,
            users,
        )
        .fetch_all(db)
        .await?
    };
    rows.into_iter().map(Enrollment::try_from).collect()
}

/// The enrolments of these students in these courses, pairwise; nobody else may change them until the transaction ends.
pub async fn lock(
    db: &mut PgConnection,
    users: &[Uuid],
    courses: &[Uuid],
) -> Result<Vec<Enrollment>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT e.id, e.user_id, e.course_id, e.status, e.version, e.enrolled_at, e.updated_at,
                e.section_id, e.expires_at
         FROM enrollment.enrollments e
         WHERE (e.user_id, e.course_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
         ORDER BY e.id FOR UPDATE OF e",
        users,
        courses,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Enrollment::try_from).collect()
}

/// Inserts enrolments of students who have none in the course; their row has to be locked.
pub async fn insert_all(db: &mut PgConnection, new: &[Enrollment]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = new.iter().map(|one| one.id.0).collect();
    let users: Vec<Uuid> = new.iter().map(|one| one.user_id.0).collect();
    let courses: Vec<Uuid> = new.iter().map(|one| one.course_id.0).collect();
    let statuses: Vec<String> = new.iter().map(|one| one.status.to_string()).collect();
    let times: Vec<OffsetDateTime> = new.iter().map(|one| one.enrolled_at).collect();
    let sections: Vec<Option<Uuid>> = new.iter().map(|one| one.section_id.map(|id| id.0)).collect();
    let ends: Vec<Option<OffsetDateTime>> = new.iter().map(|one| one.expires_at).collect();
    sqlx::query!(
        "INSERT INTO enrollment.enrollments
             (id, user_id, course_id, status, enrolled_at, updated_at, section_id, expires_at)
         SELECT id, user_id, course_id, status, at, at, section_id, expires_at
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::uuid[], $7::timestamptz[])
              AS new (id, user_id, course_id, status, at, section_id, expires_at)",
        &ids,
        &users,
        &courses,
        &statuses,
        &times,
        &sections as &[Option<Uuid>],
        &ends as &[Option<OffsetDateTime>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Moves each to its status; with `again`, they are enrolled anew, in no section.
pub async fn set_statuses(
    db: &mut PgConnection,
    moves: &[(EnrollmentId, Status)],
    again: bool,
    now: OffsetDateTime,
) -> Result<Vec<Enrollment>, sqlx::Error> {
    let ids: Vec<Uuid> = moves.iter().map(|(id, _)| id.0).collect();
    let statuses: Vec<String> = moves.iter().map(|(_, status)| status.to_string()).collect();
    let rows = sqlx::query_as!(
        Row,
        "UPDATE enrollment.enrollments AS e
         SET status = new.status, enrolled_at = CASE WHEN $3 THEN $4 ELSE e.enrolled_at END, updated_at = $4,
             version = e.version + 1,
             section_id = CASE WHEN $3 THEN NULL ELSE e.section_id END,
             expires_at = CASE WHEN $3 OR new.status = 'active' AND e.expires_at <= $4 THEN NULL ELSE e.expires_at END
         FROM unnest($1::uuid[], $2::text[]) AS new (id, status) WHERE e.id = new.id
         RETURNING e.id, e.user_id, e.course_id, e.status, e.version, e.enrolled_at, e.updated_at, e.section_id, e.expires_at",
        &ids,
        &statuses,
        again,
        now,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Enrollment::try_from).collect()
}

/// Completes those that are active and whose student has completed all videos of the course; gives them. They have to be locked.
pub async fn complete(
    db: &mut PgConnection,
    ids: &[EnrollmentId],
    now: OffsetDateTime,
) -> Result<Vec<Enrollment>, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as!(
        Row,
        "UPDATE enrollment.enrollments AS e SET status = 'completed', updated_at = $2, version = e.version + 1
         FROM enrollment.course_completions c
         WHERE e.id = ANY ($1) AND e.status = 'active' AND c.user_id = e.user_id AND c.course_id = e.course_id
         RETURNING e.id, e.user_id, e.course_id, e.status, e.version, e.enrolled_at, e.updated_at, e.section_id, e.expires_at",
        &ids,
        now,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Enrollment::try_from).collect()
}

pub async fn by_id(db: impl PgExecutor<'_>, id: EnrollmentId) -> Result<Option<Enrollment>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, user_id, course_id, status, version, enrolled_at, updated_at, section_id, expires_at
         FROM enrollment.enrollments WHERE id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await?
    .map(Enrollment::try_from)
    .transpose()
}

/// How many seats of the course are taken. Exact only while the course's row is locked.
pub async fn count_seats_taken(db: &mut PgConnection, course: CourseId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM enrollment.enrollments
           WHERE course_id = $1 AND status IN ('active', 'suspended')"#,
        course.0,
    )
    .fetch_one(db)
    .await
}

/// The same of several courses; those with nobody are left out.
pub async fn seats_taken(db: &mut PgConnection, courses: &[Uuid]) -> Result<HashMap<Uuid, i64>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT course_id, count(*) AS "count!" FROM enrollment.enrollments
           WHERE course_id = ANY ($1) AND status IN ('active', 'suspended') GROUP BY course_id"#,
        courses,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.course_id, row.count)).collect())
}

/// Which of the students has completed which of the courses.
pub async fn completed(
    db: &mut PgConnection,
    users: &[Uuid],
    courses: &[Uuid],
) -> Result<HashSet<(Uuid, Uuid)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT user_id, course_id FROM enrollment.enrollments
         WHERE user_id = ANY ($1) AND course_id = ANY ($2) AND status = 'completed'",
        users,
        courses,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.course_id)).collect())
}

struct ListedRow {
    id: Uuid,
    user_id: Uuid,
    course_id: Uuid,
    status: String,
    version: i32,
    enrolled_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    section_id: Option<Uuid>,
    expires_at: Option<OffsetDateTime>,
    course_title: Option<String>,
    full_name: Option<String>,
    section_name: Option<String>,
    term: Option<String>,
}

impl TryFrom<ListedRow> for Listed {
    type Error = sqlx::Error;

    fn try_from(row: ListedRow) -> Result<Self, Self::Error> {
        let ListedRow {
            id,
            user_id,
            course_id,
            status,
            version,
            enrolled_at,
            updated_at,
            section_id,
            expires_at,
            ..
        } = row;
        let plain = Row {
            id,
            user_id,
            course_id,
            status,
            version,
            enrolled_at,
            updated_at,
            section_id,
            expires_at,
        };
        Ok(Self {
            enrollment: plain.try_into()?,
            course_title: row.course_title,
            full_name: row.full_name,
            section: row.section_name.zip(row.term),
        })
    }
}

/// A student's enrolments, newest first, before `before`. The sub-selects hide the values: the plan is made once (docs/adr/0033).
pub async fn page_of_user(
    db: impl PgExecutor<'_>,
    user: UserId,
    status: Option<Status>,
    before: Option<EnrollmentId>,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as!(
        ListedRow,
        r#"SELECT e.id AS "id!", e.user_id AS "user_id!", e.course_id AS "course_id!", e.status AS "status!",
                  e.version AS "version!", e.enrolled_at AS "enrolled_at!", e.updated_at AS "updated_at!",
                  e.section_id AS "section_id?", e.expires_at AS "expires_at?", s.name AS "section_name?", s.term AS "term?",
                  c.title AS "course_title?", NULL::text AS "full_name?"
           FROM enrollment.enrollments e
           LEFT JOIN enrollment.courses c ON c.id = e.course_id
           LEFT JOIN enrollment.sections s ON s.id = e.section_id
           WHERE e.user_id = (SELECT $1::uuid) AND ((SELECT $2::text) IS NULL OR e.status = (SELECT $2::text))
               AND e.id < (SELECT $3::uuid)
           ORDER BY e.id DESC LIMIT (SELECT $4::bigint)"#,
        user.0,
        status.map(Status::as_str),
        before.map_or(Uuid::max(), |id| id.0),
        limit,
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(Listed::try_from)
    .collect()
}

/// Which enrolments of a roster are wanted.
#[derive(Debug, Clone, Default)]
pub struct RosterFilter {
    pub status: Option<Status>,
    pub section: Option<SectionId>,
    /// A part of the student's name.
    pub name: Option<String>,
    pub user: Option<UserId>,
}

/// A course's roster, newest first, before `before`.
pub async fn page_of_course(
    db: impl PgExecutor<'_>,
    course: CourseId,
    filter: &RosterFilter,
    before: Option<EnrollmentId>,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    let pattern = filter.name.as_ref().map(|text| {
        format!(
            "%{}%",
            text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
        )
    });
    sqlx::query_as!(
        ListedRow,
        r#"SELECT e.id AS "id!", e.user_id AS "user_id!", e.course_id AS "course_id!", e.status AS "status!",
                  e.version AS "version!", e.enrolled_at AS "enrolled_at!", e.updated_at AS "updated_at!",
                  e.section_id AS "section_id?", e.expires_at AS "expires_at?", s.name AS "section_name?", s.term AS "term?",
                  c.title AS "course_title?", u.full_name AS "full_name?"
           FROM enrollment.enrollments e
           LEFT JOIN enrollment.courses c ON c.id = e.course_id
           LEFT JOIN enrollment.sections s ON s.id = e.section_id
           LEFT JOIN enrollment.users u ON u.id = e.user_id
           WHERE e.course_id = $1 AND ($2::text IS NULL OR e.status = $2) AND ($3::uuid IS NULL OR e.id < $3)
             AND ($5::uuid IS NULL OR e.section_id = $5) AND ($7::uuid IS NULL OR e.user_id = $7)
             AND ($6::text IS NULL OR enrollment.fold_turkish(u.full_name) LIKE enrollment.fold_turkish($6))
           ORDER BY e.id DESC LIMIT $4"#,
        course.0,
        filter.status.map(Status::as_str),
        before.map(|id| id.0),
        limit,
        filter.section.map(|id| id.0),
        pattern,
        filter.user.map(|id| id.0),
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(Listed::try_from)
    .collect()
}
