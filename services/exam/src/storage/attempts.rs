use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use typed_id::{AttemptId, CourseId, ExamId, QuestionId, UserId};
use uuid::Uuid;

use super::CorruptRow;
use crate::domain::attempt::{ClosedBy, State};
use crate::domain::score::Score;

#[derive(Debug, Clone)]
pub struct Attempt {
    pub id: AttemptId,
    pub exam_id: ExamId,
    pub course_id: CourseId,
    pub user_id: UserId,
    pub revision: i32,
    pub number: i32,
    pub state: State,
    pub seed: i64,
    pub question_ids: Vec<QuestionId>,
    pub started_at: OffsetDateTime,
    pub deadline: Option<OffsetDateTime>,
    pub submitted_at: Option<OffsetDateTime>,
    pub submitted_by: Option<ClosedBy>,
    pub answered: i32,
    pub score: Option<Score>,
    pub max_score: Score,
    pub passed: Option<bool>,
    pub receipt: Option<Vec<u8>>,
    pub version: i32,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    exam_id: Uuid,
    course_id: Uuid,
    user_id: Uuid,
    revision: i32,
    number: i32,
    state: String,
    seed: i64,
    question_ids: Vec<Uuid>,
    started_at: OffsetDateTime,
    deadline: Option<OffsetDateTime>,
    submitted_at: Option<OffsetDateTime>,
    submitted_by: Option<String>,
    answered: i32,
    score: Option<i64>,
    max_score: i64,
    passed: Option<bool>,
    receipt: Option<Vec<u8>>,
    version: i32,
}

impl TryFrom<Row> for Attempt {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let corrupt = |column| CorruptRow {
            table: "attempts",
            column,
            row: row.id,
        };
        let submitted_by = row.submitted_by.as_deref().map(str::parse).transpose();
        Ok(Self {
            id: AttemptId(row.id),
            exam_id: ExamId(row.exam_id),
            course_id: CourseId(row.course_id),
            user_id: UserId(row.user_id),
            revision: row.revision,
            number: row.number,
            state: row.state.parse().map_err(|_| corrupt("state"))?,
            seed: row.seed,
            question_ids: row.question_ids.into_iter().map(QuestionId).collect(),
            started_at: row.started_at,
            deadline: row.deadline,
            submitted_at: row.submitted_at,
            submitted_by: submitted_by.map_err(|_| corrupt("submitted_by"))?,
            answered: row.answered,
            score: row.score.map(Score),
            max_score: Score(row.max_score),
            passed: row.passed,
            receipt: row.receipt,
            version: row.version,
        })
    }
}

fn all(rows: Vec<Row>) -> Result<Vec<Attempt>, sqlx::Error> {
    rows.into_iter().map(Attempt::try_from).collect()
}

/// The database's clock, which decides all deadlines.
pub async fn now(db: impl PgExecutor<'_>) -> Result<OffsetDateTime, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#)
        .fetch_one(db)
        .await
}

pub async fn by_id(db: impl PgExecutor<'_>, id: AttemptId) -> Result<Option<Attempt>, sqlx::Error> {
    sqlx::query_as!(Row, "SELECT * FROM exam.attempts WHERE id = $1", id.0)
        .fetch_optional(db)
        .await?
        .map(Attempt::try_from)
        .transpose()
}

/// As [`by_id`]; saving, handing in and extending of one attempt take turns on its row.
pub async fn lock(db: &mut PgConnection, id: AttemptId) -> Result<Option<Attempt>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT * FROM exam.attempts WHERE id = $1 FOR NO KEY UPDATE",
        id.0
    )
    .fetch_optional(db)
    .await?
    .map(Attempt::try_from)
    .transpose()
}

/// A student's attempts at an exam, in their order.
pub async fn of_user(
    db: impl PgExecutor<'_>,
    exam: ExamId,
    user: UserId,
) -> Result<Vec<Attempt>, sqlx::Error> {
    all(sqlx::query_as!(
        Row,
        "SELECT * FROM exam.attempts WHERE exam_id = $1 AND user_id = $2 ORDER BY number",
        exam.0,
        user.0,
    )
    .fetch_all(db)
    .await?)
}

/// A page of a student's attempts at an exam, newest first, before `before`.
pub async fn page_of_user_at(
    db: impl PgExecutor<'_>,
    exam: ExamId,
    user: UserId,
    before: Option<i32>,
    limit: i64,
) -> Result<Vec<Attempt>, sqlx::Error> {
    all(sqlx::query_as!(
        Row,
        "SELECT * FROM exam.attempts
         WHERE exam_id = $1 AND user_id = $2 AND ($3::int IS NULL OR number < $3)
         ORDER BY number DESC LIMIT $4",
        exam.0,
        user.0,
        before,
        limit,
    )
    .fetch_all(db)
    .await?)
}

/// Inserts an open attempt. `false` when another request was quicker: one is open, or the number is taken; and when the student is
/// erased.
pub async fn insert(db: &mut PgConnection, new: &Attempt) -> Result<bool, sqlx::Error> {
    let ids: Vec<Uuid> = new.question_ids.iter().map(|id| id.0).collect();
    let done = sqlx::query!(
        "INSERT INTO exam.attempts
             (id, exam_id, course_id, user_id, revision, number, state, seed, question_ids, started_at, deadline, max_score)
         SELECT $1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::int, $6::int, 'open', $7::bigint, $8::uuid[], $9::timestamptz,
                $10::timestamptz, $11::bigint
         WHERE NOT EXISTS (SELECT FROM exam.erased_users WHERE user_id = $4)
         ON CONFLICT DO NOTHING",
        new.id.0,
        new.exam_id.0,
        new.course_id.0,
        new.user_id.0,
        new.revision,
        new.number,
        new.seed,
        &ids,
        new.started_at,
        new.deadline,
        new.max_score.0,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes deadline, state, hand-in and score of locked attempts, and counts their versions up.
pub async fn store(db: &mut PgConnection, attempts: &[Attempt]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = attempts.iter().map(|a| a.id.0).collect();
    let states: Vec<String> = attempts.iter().map(|a| a.state.to_string()).collect();
    let deadlines: Vec<Option<OffsetDateTime>> = attempts.iter().map(|a| a.deadline).collect();
    let submitted: Vec<Option<OffsetDateTime>> = attempts.iter().map(|a| a.submitted_at).collect();
    let by: Vec<Option<String>> = attempts
        .iter()
        .map(|a| a.submitted_by.map(|by| by.as_str().to_owned()))
        .collect();
    let answered: Vec<i32> = attempts.iter().map(|a| a.answered).collect();
    let scores: Vec<Option<i64>> = attempts.iter().map(|a| a.score.map(|score| score.0)).collect();
    let maxima: Vec<i64> = attempts.iter().map(|a| a.max_score.0).collect();
    let passed: Vec<Option<bool>> = attempts.iter().map(|a| a.passed).collect();
    let receipts: Vec<Option<Vec<u8>>> = attempts.iter().map(|a| a.receipt.clone()).collect();
    sqlx::query!(
        "UPDATE exam.attempts a
         SET state = t.state, deadline = t.deadline, submitted_at = t.submitted_at, submitted_by = t.submitted_by,
             answered = t.answered, score = t.score, max_score = t.max_score, passed = t.passed, receipt = t.receipt,
             version = a.version + 1
         FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::int[], $7::bigint[],
                     $8::bigint[], $9::bool[], $10::bytea[])
              AS t (id, state, deadline, submitted_at, submitted_by, answered, score, max_score, passed, receipt)
         WHERE a.id = t.id",
        &ids,
        &states,
        &deadlines as &[Option<OffsetDateTime>],
        &submitted as &[Option<OffsetDateTime>],
        &by as &[Option<String>],
        &answered,
        &scores as &[Option<i64>],
        &maxima,
        &passed as &[Option<bool>],
        &receipts as &[Option<Vec<u8>>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Locks attempts whose time was over that many seconds ago; those that others work on are left to them.
pub async fn lock_due(db: &mut PgConnection, seconds: f64, limit: i64) -> Result<Vec<Attempt>, sqlx::Error> {
    all(sqlx::query_as!(
        Row,
        "SELECT * FROM exam.attempts
         WHERE state = 'open' AND deadline < clock_timestamp() - make_interval(secs => $1)
         ORDER BY deadline LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        seconds,
        limit,
    )
    .fetch_all(db)
    .await?)
}

/// How long until the next open attempt is over; `None` when there is none.
pub async fn seconds_to_next(db: impl PgExecutor<'_>) -> Result<Option<f64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT extract(epoch FROM min(deadline) - clock_timestamp())::float8 AS "seconds?"
           FROM exam.attempts WHERE state = 'open'"#
    )
    .fetch_one(db)
    .await
}

/// Locks the attempts of an exam that are open or were closed by the server, of one student or of all.
pub async fn lock_extensible(
    db: &mut PgConnection,
    exam: ExamId,
    user: Option<UserId>,
) -> Result<Vec<Attempt>, sqlx::Error> {
    all(sqlx::query_as!(
        Row,
        "SELECT * FROM exam.attempts
         WHERE exam_id = $1 AND ($2::uuid IS NULL OR user_id = $2) AND (state = 'open' OR submitted_by = 'server')
         ORDER BY id FOR NO KEY UPDATE",
        exam.0,
        user.map(|id| id.0),
    )
    .fetch_all(db)
    .await?)
}

/// Closed attempts of an exam after an id, locked, for grading again.
pub async fn lock_closed(
    db: &mut PgConnection,
    exam: ExamId,
    after: Option<AttemptId>,
    limit: i64,
) -> Result<Vec<Attempt>, sqlx::Error> {
    all(sqlx::query_as!(
        Row,
        "SELECT * FROM exam.attempts
         WHERE exam_id = $1 AND state <> 'open' AND ($2::uuid IS NULL OR id > $2)
         ORDER BY id LIMIT $3 FOR NO KEY UPDATE",
        exam.0,
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(db)
    .await?)
}

/// Whether anybody sits an exam.
pub async fn any_open(db: impl PgExecutor<'_>, exam: ExamId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM exam.attempts WHERE exam_id = $1 AND state = 'open') AS "is_open!""#,
        exam.0,
    )
    .fetch_one(db)
    .await
}

/// Attempts of an exam that have a score, after an id, locked.
pub async fn lock_graded(
    db: &mut PgConnection,
    exam: ExamId,
    after: Option<AttemptId>,
    limit: i64,
) -> Result<Vec<Attempt>, sqlx::Error> {
    all(sqlx::query_as!(
        Row,
        "SELECT * FROM exam.attempts
         WHERE exam_id = $1 AND state IN ('graded', 'expired') AND ($2::uuid IS NULL OR id > $2)
         ORDER BY id LIMIT $3 FOR NO KEY UPDATE",
        exam.0,
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(db)
    .await?)
}

/// An attempt in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    pub attempt: Attempt,
    pub exam_title: String,
    pub review_policy: String,
    pub attempt_scoring: String,
    pub closes_at: Option<OffsetDateTime>,
    /// Whether anybody's attempt at the exam is open.
    pub somebody_sits: bool,
    /// `None` while the name is not known.
    pub full_name: Option<String>,
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    #[sqlx(flatten)]
    attempt: Row,
    exam_title: String,
    review_policy: String,
    attempt_scoring: String,
    closes_at: Option<OffsetDateTime>,
    somebody_sits: bool,
    full_name: Option<String>,
}

impl TryFrom<ListedRow> for Listed {
    type Error = sqlx::Error;

    fn try_from(row: ListedRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            attempt: row.attempt.try_into()?,
            exam_title: row.exam_title,
            review_policy: row.review_policy,
            attempt_scoring: row.attempt_scoring,
            closes_at: row.closes_at,
            somebody_sits: row.somebody_sits,
            full_name: row.full_name,
        })
    }
}

/// A student's attempts that are over, newest first, before `before`. The sub-selects hide the values: the plan is made once
/// (docs/adr/0033).
pub async fn page_of_user(
    db: impl PgExecutor<'_>,
    user: UserId,
    before: Option<AttemptId>,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as::<_, ListedRow>(
        "SELECT a.*, e.title AS exam_title, e.review_policy, e.attempt_scoring, e.closes_at, u.full_name,
                EXISTS (SELECT FROM exam.attempts o WHERE o.exam_id = a.exam_id AND o.state = 'open') AS somebody_sits
         FROM exam.attempts a JOIN exam.exams e ON e.id = a.exam_id LEFT JOIN exam.users u ON u.id = a.user_id
         WHERE a.user_id = (SELECT $1) AND a.state <> 'open' AND a.id < (SELECT $2) ORDER BY a.id DESC LIMIT (SELECT $3)",
    )
    .bind(user)
    .bind(before.map_or(Uuid::max(), |id| id.0))
    .bind(limit)
    .fetch_all(db)
    .await?
    .into_iter()
    .map(Listed::try_from)
    .collect()
}

/// All attempts at an exam, or those of one state, newest first, before `before`.
pub async fn page_of_exam(
    db: impl PgExecutor<'_>,
    exam: ExamId,
    state: Option<State>,
    before: Option<AttemptId>,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as::<_, ListedRow>(
        "SELECT a.*, e.title AS exam_title, e.review_policy, e.attempt_scoring, e.closes_at, u.full_name, false AS somebody_sits
         FROM exam.attempts a JOIN exam.exams e ON e.id = a.exam_id LEFT JOIN exam.users u ON u.id = a.user_id
         WHERE a.exam_id = $1 AND ($2::uuid IS NULL OR a.id < $2) AND ($4::text IS NULL OR a.state = $4)
         ORDER BY a.id DESC LIMIT $3",
    )
    .bind(exam)
    .bind(before)
    .bind(limit)
    .bind(state.map(State::as_str))
    .fetch_all(db)
    .await?
    .into_iter()
    .map(Listed::try_from)
    .collect()
}
