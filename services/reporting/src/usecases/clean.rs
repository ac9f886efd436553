use std::collections::HashSet;

use time::Duration;
use uuid::Uuid;

use super::write_report::FOLDER;
use crate::app::Reporting;
use crate::storage::{activity, operations};

/// Results stay this long.
const RETENTION: Duration = Duration::days(7);

/// Removes reports that are old, files that are nobody's, and what came to be kept of people who were erased meanwhile.
pub async fn clean(app: &Reporting) -> anyhow::Result<String> {
    let (db, now) = (app.db.primary(), app.clock.now());
    let reports = operations::purge(db, now - RETENTION).await?;
    let files = remove_orphans(app).await?;
    let lines = activity::forget_erased(db).await? + activity::forget_erased_actors(db).await?;
    Ok(format!(
        "removed {reports} reports, {files} files, the name of {lines} lines"
    ))
}

/// A file is there only after its operation, so that one without an operation is over.
async fn remove_orphans(app: &Reporting) -> anyhow::Result<usize> {
    let names = app.storage.names_before(FOLDER, app.clock.now()).await?;
    let id_of = |name: &str| {
        let file = name.rsplit('/').next()?;
        Uuid::try_parse(file.split('.').next()?).ok()
    };
    let ids: Vec<Uuid> = names.iter().filter_map(|name| id_of(name)).collect();
    let known: HashSet<Uuid> = operations::known(app.db.primary(), &ids)
        .await?
        .into_iter()
        .collect();
    let mut removed = 0;
    for name in names {
        if id_of(&name).is_none_or(|id| !known.contains(&id)) {
            app.storage.delete(&name).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
