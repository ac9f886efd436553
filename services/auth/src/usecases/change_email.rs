use access_token::Caller;
use event_bus::outbox;
use problem::{Problem, codes};

use super::audit::{self, Act, Actor};
use super::current_password::{self, CurrentPassword};
use super::events::{self, MailError, SecurityChange};
use crate::app::Auth;
use crate::domain::email;
use crate::storage::one_time_tokens::{self, Purpose};
use crate::storage::users;

enum Outcome {
    Sent,
    /// Deactivated since the token was verified.
    Inactive,
    WrongPassword,
}

/// Sends a link to the new address and a notice to the one of now. Whether the new one has an account, the caller does not learn:
/// its owner does.
pub async fn change_email(
    app: &Auth,
    caller: &Caller,
    new_email: &str,
    current_password: &str,
) -> Result<(), Problem> {
    let caller = caller.in_person()?;
    let user = super::user(app, caller.id).await?;
    let shown = CurrentPassword::verify(app, &user, caller.session_id, current_password).await?;
    let (id, new_email) = (user.id, new_email.trim().to_owned());
    let sent = app.db.write(move |mut tx| async move {
        let user = users::lock(&mut tx, id).await?;
        let Some(user) = user.filter(|user| user.is_active) else {
            return Ok(tx.rollback(Outcome::Inactive).await?);
        };
        if !shown.still_holds(&mut tx, id).await? {
            return Ok(tx.rollback(Outcome::WrongPassword).await?);
        }
        let now = tx.clock().now();
        // The last one asked for is the one that counts.
        one_time_tokens::void(&mut tx, id, Purpose::ChangeEmail, now).await?;
        let owner = users::by_email(&mut *tx, &email::key(&new_email)).await?;
        match owner.filter(|owner| owner.id != id) {
            Some(owner) => {
                outbox::append(&mut tx, &events::registration_repeated(&owner)).await?;
            }
            None => events::request_email_change(&mut tx, &user, new_email).await?,
        }
        // Without the addresses: the log outlives an erasure.
        let act = Act::on_user("user.email_change_requested", id);
        audit::record(&mut *tx, Actor::user(id), act, now).await?;
        events::tell_of_change(&mut tx, user, SecurityChange::EmailChangeRequested).await?;
        Ok::<_, MailError>(tx.commit(Outcome::Sent).await?)
    });
    match sent.await? {
        Outcome::Sent => Ok(()),
        Outcome::Inactive => Err(Problem::new(&codes::UNAUTHENTICATED)),
        Outcome::WrongPassword => Err(current_password::wrong()),
    }
}
