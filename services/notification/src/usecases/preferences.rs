use access_token::Caller;
use postgres::problem_of;
use problem::{FieldError, Problem, codes};

use super::ChangeError;
use crate::app::Notification;
use crate::domain::preference::{Category, Channel, Frequency, Preferences};
use crate::storage::preferences;

/// The caller's preferences.
pub async fn get(app: &Notification, caller: &Caller) -> Result<Preferences, Problem> {
    let user = caller.user()?.id;
    let mut connection = app.db.connection().await.map_err(problem_of)?;
    let mut found = preferences::of_users(&mut connection, &[user.0])
        .await
        .map_err(problem_of)?;
    let wishes = found
        .remove(&user.0)
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    Ok(wishes.preferences)
}

/// Replaces the caller's preferences. What waits of a category whose mails are turned off is taken back.
pub async fn put(app: &Notification, caller: &Caller, wanted: Preferences) -> Result<Preferences, Problem> {
    let user = caller.user()?.id;
    let written = app.db.write(move |mut tx| async move {
        preferences::replace(&mut tx, user, &wanted).await?;
        let off: Vec<Category> = Category::ALL
            .iter()
            .copied()
            .filter(|category| wanted.frequency(*category, Channel::Email) == Frequency::Off)
            .collect();
        if !off.is_empty() {
            preferences::cancel_mail(&mut tx, user, &off).await?;
        }
        Ok::<_, ChangeError>(tx.commit(wanted).await?)
    });
    Ok(written.await?)
}

/// Reads choices as they are named in the API.
pub fn choices<'a>(cells: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Result<Preferences, Problem> {
    let mut preferences = Preferences::default();
    let mut faults = Vec::new();
    for (place, (category, channel, frequency)) in cells.enumerate() {
        let fault = |field: &str, code: &'static str, detail: String| FieldError {
            field: format!("preferences[{place}].{field}"),
            code: code.into(),
            detail,
        };
        match (
            Category::named(category),
            Channel::named(channel),
            Frequency::named(frequency),
        ) {
            (Some(category), Some(channel), Some(frequency)) => {
                if let Err(refused) = preferences.choose(category, channel, frequency) {
                    faults.push(fault("frequency", "preference.refused", refused.to_string()));
                }
            }
            _ => faults.push(fault("category", "string.in", "is not one of ours".into())),
        }
    }
    if faults.is_empty() {
        Ok(preferences)
    } else {
        Err(Problem::invalid_fields(faults))
    }
}
