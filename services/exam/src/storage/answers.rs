use std::collections::HashMap;

use sqlx::PgExecutor;
use sqlx::types::Json;
use time::OffsetDateTime;
use typed_id::{AttemptId, QuestionId};
use uuid::Uuid;

use crate::domain::answer::Answer;

/// An answer on its way into a batch.
#[derive(Debug, Clone)]
pub struct NewAnswer {
    pub attempt_id: AttemptId,
    pub question_id: QuestionId,
    pub sequence: i32,
    pub answer: Answer,
    /// When it arrived at the gateway.
    pub arrived_at: OffsetDateTime,
}

/// What became of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// This one is stored, or another with the same sequence or a higher one `instead`.
    Stored {
        sequence: i32,
        saved_at: OffsetDateTime,
        instead: Option<Answer>,
    },
    /// The attempt was over when it arrived.
    Closed,
}

/// Saves answers of many attempts in one statement; one answer a question at most. Attempts that are over take none: the lock on their
/// row is the one that a hand-in takes, so that each answer is either counted by it or refused.
///
/// An arrival is believed as long as it is plausible: it may be up to half a minute ago, and not in the future.
///
/// To save the same once more changes nothing.
pub async fn save(
    db: impl PgExecutor<'_> + Copy,
    answers: &[NewAnswer],
    grace_seconds: f64,
) -> Result<Vec<Outcome>, sqlx::Error> {
    let attempts: Vec<Uuid> = answers.iter().map(|a| a.attempt_id.0).collect();
    let questions: Vec<Uuid> = answers.iter().map(|a| a.question_id.0).collect();
    let sequences: Vec<i32> = answers.iter().map(|a| a.sequence).collect();
    let contents: Result<Vec<serde_json::Value>, _> =
        answers.iter().map(|a| serde_json::to_value(&a.answer)).collect();
    let contents = contents.map_err(|fault| sqlx::Error::Encode(Box::new(fault)))?;
    let arrivals: Vec<OffsetDateTime> = answers.iter().map(|a| a.arrived_at).collect();
    let rows = sqlx::query!(
        r#"WITH told AS (
               SELECT attempt_id, question_id, sequence, answer, place,
                      least(clock_timestamp(), greatest(arrived_at, clock_timestamp() - interval '30 seconds')) AS arrived_at
               FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::jsonb[], $5::timestamptz[])
                    WITH ORDINALITY AS t (attempt_id, question_id, sequence, answer, arrived_at, place)
           ), locked AS (
               SELECT id, state, deadline FROM exam.attempts WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE
           ), welcome AS (
               SELECT told.* FROM told JOIN locked ON locked.id = told.attempt_id
               WHERE locked.state = 'open'
                 AND (locked.deadline IS NULL OR told.arrived_at <= locked.deadline + make_interval(secs => $6))
           ), saved AS (
               INSERT INTO exam.answers AS a (attempt_id, question_id, sequence, answer, arrived_at, saved_at)
               SELECT attempt_id, question_id, sequence, answer, arrived_at, clock_timestamp() FROM welcome
               ORDER BY attempt_id, question_id
               ON CONFLICT (attempt_id, question_id) DO UPDATE
                   SET sequence = excluded.sequence, answer = excluded.answer, arrived_at = excluded.arrived_at, saved_at = excluded.saved_at
                   WHERE a.sequence < excluded.sequence
               RETURNING a.attempt_id, a.question_id, a.sequence, a.saved_at
           )
           SELECT welcome.place IS NOT NULL AS "is_welcome!", saved.sequence AS "sequence?", saved.saved_at AS "saved_at?"
           FROM told
           LEFT JOIN welcome ON welcome.place = told.place
           LEFT JOIN saved ON saved.attempt_id = told.attempt_id AND saved.question_id = told.question_id
           ORDER BY told.place"#,
        &attempts,
        &questions,
        &sequences,
        &contents,
        &arrivals,
        grace_seconds,
    )
    .fetch_all(db)
    .await?;
    let mut outcomes = Vec::with_capacity(rows.len());
    let mut behind = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        outcomes.push(match (row.is_welcome, row.sequence, row.saved_at) {
            (false, ..) => Outcome::Closed,
            (true, Some(sequence), Some(saved_at)) => Outcome::Stored {
                sequence,
                saved_at,
                instead: None,
            },
            // A newer one, or this very one, was there before.
            _ => {
                behind.push(place);
                Outcome::Closed
            }
        });
    }
    if !behind.is_empty() {
        let attempts: Vec<Uuid> = behind.iter().map(|place| answers[*place].attempt_id.0).collect();
        let questions: Vec<Uuid> = behind.iter().map(|place| answers[*place].question_id.0).collect();
        let told: Vec<serde_json::Value> = behind.iter().map(|place| contents[*place].clone()).collect();
        let stored = sqlx::query!(
            r#"SELECT t.place AS "place!", a.sequence, a.saved_at,
                      CASE WHEN a.answer <> t.answer THEN a.answer END AS "instead: Json<Answer>"
               FROM unnest($1::uuid[], $2::uuid[], $3::jsonb[]) WITH ORDINALITY AS t (attempt_id, question_id, answer, place)
               JOIN exam.answers a ON a.attempt_id = t.attempt_id AND a.question_id = t.question_id"#,
            &attempts,
            &questions,
            &told,
        )
        .fetch_all(db)
        .await?;
        for row in stored {
            let nth = behind[usize::try_from(row.place - 1).unwrap_or_default()];
            outcomes[nth] = Outcome::Stored {
                sequence: row.sequence,
                saved_at: row.saved_at,
                instead: row.instead.map(|answer| answer.0),
            };
        }
    }
    Ok(outcomes)
}

/// A stored answer.
#[derive(Debug, Clone)]
pub struct Stored {
    pub attempt_id: AttemptId,
    pub question_id: QuestionId,
    pub sequence: i32,
    pub answer: Answer,
    pub saved_at: OffsetDateTime,
}

/// All answers of these attempts. The sub-select hides how many they are: the plan is made once (docs/adr/0033).
pub async fn of_attempts(db: impl PgExecutor<'_>, attempts: &[Uuid]) -> Result<Vec<Stored>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT attempt_id, question_id, sequence, answer AS "answer: Json<Answer>", saved_at
           FROM exam.answers WHERE attempt_id = ANY ((SELECT $1::uuid[])::uuid[]) ORDER BY attempt_id, question_id"#,
        attempts,
    )
    .fetch_all(db)
    .await?;
    let stored = rows.into_iter().map(|row| Stored {
        attempt_id: AttemptId(row.attempt_id),
        question_id: QuestionId(row.question_id),
        sequence: row.sequence,
        answer: row.answer.0,
        saved_at: row.saved_at,
    });
    Ok(stored.collect())
}

/// How many of an attempt's answers are some: one that was taken back is none.
pub fn answered(stored: &[Stored]) -> i32 {
    let some = stored.iter().filter(|stored| !stored.answer.is_empty()).count();
    i32::try_from(some).unwrap_or(i32::MAX)
}

/// The same of many attempts, without reading them; attempts without one are left out. What is blank is written out, as Unicode and
/// `str::trim` have it: PostgreSQL's `\s` goes by the locale, and takes a no-break space for text.
pub async fn answered_of(
    db: impl PgExecutor<'_>,
    attempts: &[Uuid],
) -> Result<HashMap<AttemptId, i32>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT attempt_id, count(*)::int AS "answered!" FROM exam.answers
           WHERE attempt_id = ANY ((SELECT $1::uuid[])::uuid[])
             AND (answer ? 'option_ids' OR answer ? 'number' OR answer ->> 'text' ~ '[^\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]')
           GROUP BY attempt_id"#,
        attempts,
    )
    .fetch_all(db)
    .await?;
    let counts = rows
        .into_iter()
        .map(|row| (AttemptId(row.attempt_id), row.answered));
    Ok(counts.collect())
}
