//! One verb a file; each owns its transaction.

pub mod accommodate;
pub mod accommodate_group;
pub mod close_attempt;
pub mod close_due;
mod events;
pub mod exams;
pub mod export_results;
pub mod get_attempt;
pub mod grade_answer;
pub mod import_questions;
pub mod list_audit;
pub mod publish_exam;
pub mod questions;
pub mod regrade;
pub mod release_results;
pub mod results;
pub mod save_answer;
pub mod start_attempt;
pub mod statistics;
pub mod submit_attempt;

use postgres::WriteError;
use problem::Problem;
use uuid::Uuid;

use crate::app::Exams;

/// A write that was refused, or failed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Refused(#[from] Problem),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for ChangeError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

impl From<ChangeError> for Problem {
    fn from(fault: ChangeError) -> Self {
        match fault {
            ChangeError::Refused(problem) => problem,
            ChangeError::Write(fault) => fault.into(),
        }
    }
}

/// One page of a list.
#[derive(Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_page_token: String,
}

/// What part of a list is wanted.
#[derive(Debug, Clone)]
pub struct Paging {
    pub size: i64,
    pub token: Option<String>,
}

/// Cuts the one row too many and makes the token of the next page from the last one shown.
fn page<T, K: serde::Serialize>(
    app: &Exams,
    scope: &str,
    mut items: Vec<T>,
    size: i64,
    key: impl Fn(&T) -> K,
) -> Page<T> {
    let next_page_token = app.pages.cut(scope, &mut items, size, key);
    Page {
        items,
        next_page_token,
    }
}

fn uuids<T>(all: &[T], id: impl Fn(&T) -> Uuid) -> Vec<Uuid> {
    all.iter().map(id).collect()
}
