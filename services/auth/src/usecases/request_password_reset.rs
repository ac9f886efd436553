use problem::Problem;

use super::events::{self, MailError};
use crate::app::Auth;
use crate::domain::{email, secret};
use crate::storage::users;

/// Sends a reset mail where there is an account, and says nothing either way.
pub async fn request_password_reset(app: &Auth, address: &str) -> Result<(), Problem> {
    let user = users::by_email(app.db.primary(), &email::key(address))
        .await
        .map_err(postgres::problem_of)?;
    let user = user.filter(|user| user.is_active);
    let sent = app.db.write(move |mut tx| async move {
        if let Some(user) = user {
            events::request_password(&mut tx, &user, false).await?;
            Ok::<_, MailError>(tx.commit(()).await?)
        } else {
            // The same work, for nobody.
            secret::random(secret::Kind::ResetPassword)?;
            Ok(tx.commit(()).await?)
        }
    });
    Ok(sent.await?)
}
