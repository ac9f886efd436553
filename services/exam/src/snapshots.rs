//! What never changes is read once and held in memory, so that a crowd that begins an exam reads nothing twice.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use postgres::{Database, problem_of};
use problem::{Problem, codes};
use sqlx::PgConnection;
use typed_id::{AttemptId, ExamId};

use crate::domain::revision::Revision;
use crate::storage::attempts::{self, Attempt};
use crate::storage::exams::{self, Exam};
use crate::storage::revisions;

/// An exam's own fields do change; another instance shows that this late.
const EXAM_FRESH: Duration = Duration::from_secs(1);
const REVISIONS: u64 = 500;
const ATTEMPTS: u64 = 50_000;

#[derive(Clone)]
pub struct Snapshots {
    db: Database,
    exams: Cache<ExamId, Arc<Exam>>,
    revisions: Cache<(ExamId, i32), Arc<Revision>>,
    /// Only for what an attempt keeps from its start: owner, questions, revision.
    attempts: Cache<AttemptId, Arc<Attempt>>,
}

fn shared(problem: &Arc<Problem>) -> Problem {
    Problem::new(problem.code())
}

impl Snapshots {
    pub fn new(db: Database) -> Self {
        Self {
            db,
            exams: Cache::builder()
                .max_capacity(REVISIONS)
                .time_to_live(EXAM_FRESH)
                .build(),
            revisions: Cache::builder().max_capacity(REVISIONS).build(),
            attempts: Cache::builder()
                .max_capacity(ATTEMPTS)
                .time_to_idle(Duration::from_hours(4))
                .build(),
        }
    }

    /// An exam as it was at most a second ago.
    pub async fn exam(&self, id: ExamId) -> Result<Arc<Exam>, Problem> {
        let load = async {
            let found = exams::by_id(self.db.primary(), id).await.map_err(problem_of)?;
            found.map(Arc::new).ok_or_else(|| Problem::new(&codes::NOT_FOUND))
        };
        self.exams
            .try_get_with(id, load)
            .await
            .map_err(|problem| shared(&problem))
    }

    pub async fn forget_exam(&self, id: ExamId) {
        self.exams.invalidate(&id).await;
    }

    pub async fn revision(&self, exam: ExamId, number: i32) -> Result<Arc<Revision>, Problem> {
        let load = async {
            let found = revisions::get(self.db.primary(), exam, number)
                .await
                .map_err(problem_of)?;
            found
                .map(Arc::new)
                .ok_or_else(|| Problem::internal("an exam refers to a revision that there is not"))
        };
        self.revisions
            .try_get_with((exam, number), load)
            .await
            .map_err(|problem| shared(&problem))
    }

    /// As [`Self::exam`], inside a transaction: over its own connection. One that held a connection and waited for another would, in a
    /// crowd, wait for itself.
    pub async fn exam_within(&self, db: &mut PgConnection, id: ExamId) -> Result<Arc<Exam>, sqlx::Error> {
        if let Some(known) = self.exams.get(&id).await {
            return Ok(known);
        }
        let found = exams::by_id(db, id).await?.ok_or(sqlx::Error::RowNotFound)?;
        let exam = Arc::new(found);
        self.exams.insert(id, Arc::clone(&exam)).await;
        Ok(exam)
    }

    /// As [`Self::revision`], inside a transaction.
    pub async fn revision_within(
        &self,
        db: &mut PgConnection,
        exam: ExamId,
        number: i32,
    ) -> Result<Arc<Revision>, sqlx::Error> {
        if let Some(known) = self.revisions.get(&(exam, number)).await {
            return Ok(known);
        }
        let found = revisions::get(db, exam, number)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        let revision = Arc::new(found);
        self.revisions.insert((exam, number), Arc::clone(&revision)).await;
        Ok(revision)
    }

    /// Owner, questions and revision of an attempt; its state may be an old one.
    pub async fn attempt(&self, id: AttemptId) -> Result<Arc<Attempt>, Problem> {
        let load = async {
            let found = attempts::by_id(self.db.primary(), id).await.map_err(problem_of)?;
            found.map(Arc::new).ok_or_else(|| Problem::new(&codes::NOT_FOUND))
        };
        self.attempts
            .try_get_with(id, load)
            .await
            .map_err(|problem| shared(&problem))
    }

    pub async fn remember(&self, attempt: &Attempt) {
        self.attempts.insert(attempt.id, Arc::new(attempt.clone())).await;
    }
}
