//! The only SQL of this service.

pub mod course_completions;
pub mod courses;
pub mod enrollment_ends;
pub mod enrollments;
pub mod sections;
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
