//! Why a row is not taken.

use std::fmt;

/// Where it is wrong and how; `line` counts the lines of the file from 1, also those inside of quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    pub line: u64,
    /// The column by our name, or nothing when it is about the whole row.
    pub column: &'static str,
    pub code: &'static str,
    pub detail: String,
    /// Whose row it is, as the file spells it; empty where the row has no address.
    pub email: String,
}

impl RowFault {
    pub(crate) fn new(
        line: u64,
        column: &'static str,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            line,
            column,
            code,
            detail: detail.into(),
            email: String::new(),
        }
    }
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.code, self.detail)
    }
}

impl std::error::Error for RowFault {}
