//! Fields of requests as what their text stands for.

use std::str::FromStr;

use problem::Problem;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// The id in a field whose rule has already demanded a UUID.
pub fn id<T: FromStr>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid_field(field, "string.uuid", "has to be a UUID"))
}

/// A moment as RFC 3339 writes it.
pub fn moment(field: &str, text: &str) -> Result<OffsetDateTime, Problem> {
    // In UTC, as the database wants it: at the end of what can be told there is none.
    let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
    parsed
        .and_then(|at| at.checked_to_offset(UtcOffset::UTC))
        .ok_or_else(|| {
            let detail = "has to be a time such as 2026-11-21T09:00:00Z";
            Problem::invalid_field(field, "string.rfc3339", detail)
        })
}

/// `None` leaves the field as it is; an empty text clears it.
pub fn clearable<T>(
    text: Option<&str>,
    read: impl FnOnce(&str) -> Result<T, Problem>,
) -> Result<Option<Option<T>>, Problem> {
    match text {
        None => Ok(None),
        Some("") => Ok(Some(None)),
        Some(text) => Ok(Some(Some(read(text)?))),
    }
}
