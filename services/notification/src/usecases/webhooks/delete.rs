use access_token::Caller;
use problem::{Problem, codes};
use typed_id::WebhookId;

use super::Actor;
use crate::app::Notification;
use crate::storage::webhooks;
use crate::usecases::ChangeError;

/// Removes a webhook with its deliveries.
pub async fn delete(app: &Notification, caller: &Caller, id: WebhookId) -> Result<(), Problem> {
    let actor = Actor::of(caller)?;
    let written = app.db.write(move |mut tx| async move {
        let url = webhooks::delete(&mut *tx, id).await?;
        let url = url.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
        actor.tell(&mut tx, id, "deleted", url).await?;
        Ok::<_, ChangeError>(tx.commit(()).await?)
    });
    Ok(written.await?)
}
