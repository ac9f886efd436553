//! The only SQL of this service, beside the roster's.

pub mod accommodation_groups;
pub mod accommodations;
pub mod answers;
pub mod attempts;
pub mod audit;
pub mod exams;
pub mod finals;
pub mod grades;
pub mod questions;
pub mod revisions;
pub mod statistics;
pub mod users;

/// A stored value that our own code could not have written.
#[derive(Debug, thiserror::Error)]
#[error("{table}.{column} of {row} holds an impossible value")]
pub struct CorruptRow {
    pub table: &'static str,
    pub column: &'static str,
    pub row: uuid::Uuid,
}

impl From<CorruptRow> for sqlx::Error {
    fn from(fault: CorruptRow) -> Self {
        Self::Decode(Box::new(fault))
    }
}
