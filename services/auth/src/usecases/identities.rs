use access_token::Caller;
use problem::{Problem, codes};
use serde_json::json;
use uuid::Uuid;

use super::audit::{self, Act, Actor};
use super::events::{self, SecurityChange};
use super::paging::{Page, Paging};
use super::second_factor::check_fresh;
use crate::app::Auth;
use crate::storage::identities::{self, Identity};

/// The identity providers that the caller is linked with, oldest first.
pub async fn list(
    app: &Auth,
    caller: &Caller,
    Paging { size, token }: Paging<'_>,
) -> Result<Page<Identity>, Problem> {
    let user = caller.user()?.id;
    let scope = format!("identities:{user}");
    let after: Option<Uuid> = app.pages.open(&scope, token)?;
    let rows = identities::of_user(app.db.primary(), user, after, size + 1)
        .await
        .map_err(postgres::problem_of)?;
    Ok(Page::cut(app, &scope, rows, size, |identity| identity.id))
}

/// Unlinks one. Not with a session that somebody may have found open.
pub async fn unlink(app: &Auth, caller: &Caller, id: Uuid) -> Result<(), Problem> {
    check_fresh(app, caller).await?;
    let user = caller.in_person()?.id;
    let removed = app.db.write(move |mut tx| async move {
        if !identities::remove(&mut tx, user, id).await? {
            return tx.rollback(false).await;
        }
        let act = Act::on_user("identity.unlinked", user).with(json!({"identity_id": id}));
        let now = tx.clock().now();
        audit::record(&mut *tx, Actor::user(user), act, now).await?;
        events::security_changed(&mut tx, user, SecurityChange::IdentityUnlinked).await?;
        tx.commit(true).await
    });
    if removed.await? {
        Ok(())
    } else {
        Err(Problem::new(&codes::NOT_FOUND))
    }
}
