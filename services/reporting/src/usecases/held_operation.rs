use contracts::files::v1::File;
use postgres::problem_of;
use problem::{Problem, codes};
use spreadsheet::Format;
use typed_id::UserId;
use uuid::Uuid;

use super::write_report::file_name;
use crate::app::Reporting;
use crate::storage::operations::{self, Operation};

/// A report of a user's; others know nothing of it.
pub async fn get(app: &Reporting, id: Uuid, user: UserId) -> Result<Operation, Problem> {
    operations::of_owner(app.db.primary(), id, user)
        .await
        .map_err(problem_of)?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))
}

/// A part of its file.
pub async fn result(app: &Reporting, id: Uuid, user: UserId, part: u32) -> Result<File, Problem> {
    let operation = get(app, id, user).await?;
    let format: Format = operation.format.parse().map_err(Problem::internal)?;
    if operation.state != "succeeded" {
        return Err(Problem::new(&codes::NOT_FOUND));
    }
    let found = app.storage.read_part(&file_name(id, format), part).await;
    let found = found
        .map_err(|fault| Problem::new(&codes::UNAVAILABLE).with_source(fault))?
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    Ok(File {
        content_type: format.content_type().to_owned(),
        name: format!("{}-{}.{}", operation.kind, operation.course_id, format.ending()),
        content: found.content.to_vec(),
        next_part: found
            .next
            .and_then(|next| i32::try_from(next).ok())
            .unwrap_or_default(),
    })
}
