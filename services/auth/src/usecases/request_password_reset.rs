use std::time::Duration;

use problem::Problem;

use super::events::{self, MailError, PasswordMail};
use crate::app::Auth;
use crate::domain::email;
use crate::storage::users;

/// Longer than the write takes, so that the time of the answer says nothing either.
const ANSWER_AFTER: Duration = Duration::from_millis(150);

/// Sends a reset mail where there is an account, and says nothing either way.
pub async fn request_password_reset(app: &Auth, address: &str) -> Result<(), Problem> {
    // An account costs a commit; nobody waits shorter for having none.
    let (sent, ()) = tokio::join!(send(app, address), tokio::time::sleep(ANSWER_AFTER));
    sent
}

async fn send(app: &Auth, address: &str) -> Result<(), Problem> {
    let user = users::by_email(app.db.primary(), &email::key(address))
        .await
        .map_err(postgres::problem_of)?;
    let Some(user) = user.filter(|user| user.is_active) else {
        return Ok(());
    };
    let sent = app.db.write(move |mut tx| async move {
        events::request_password(&mut tx, &user, PasswordMail::Forgotten).await?;
        Ok::<_, MailError>(tx.commit(()).await?)
    });
    Ok(sent.await?)
}
