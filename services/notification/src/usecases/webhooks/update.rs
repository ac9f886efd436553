use std::sync::Arc;

use access_token::Caller;
use problem::{Problem, codes};
use typed_id::WebhookId;

use super::{Actor, check_readable, url};
use crate::app::Notification;
use crate::storage::webhook_deliveries;
use crate::storage::webhooks::{self, Change, Webhook};
use crate::usecases::ChangeError;

/// Changes a webhook; one that is turned on again goes on with what waited for it.
pub async fn update(
    app: &Notification,
    caller: &Caller,
    id: WebhookId,
    change: Change,
) -> Result<Webhook, Problem> {
    let actor = Actor::of(caller)?;
    let change = Change {
        url: change.url.map(|text| url(app, &text)).transpose()?,
        ..change
    };
    let caller = caller.clone();
    let wake = Arc::clone(&app.wake_dispatcher);
    let written = app.db.write(move |mut tx| async move {
        let now = tx.clock().now();
        let moves = change.url.is_some();
        let changed = webhooks::update(&mut *tx, id, &change, now).await?;
        let changed = changed.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
        // Also of what others had chosen: whoever moves the address has it all posted there.
        check_readable(&caller, &changed.event_types)?;
        if moves {
            check_readable(&caller, &webhook_deliveries::kept_types(&mut *tx, id).await?)?;
        }
        actor.tell(&mut tx, id, "updated", changed.url.clone()).await?;
        tx.after_commit(move || wake.notify_one());
        Ok::<_, ChangeError>(tx.commit(changed).await?)
    });
    Ok(written.await?)
}
