use access_token::Caller;
use problem::{Problem, codes};
use typed_id::WebhookId;

use super::{Actor, check_readable, url};
use crate::app::Notification;
use crate::domain::webhook::Secret;
use crate::storage::webhooks::{self, Webhook};
use crate::usecases::ChangeError;

/// Each costs a row an event; a program that makes them in a loop is stopped.
const MOST: i64 = 100;

/// Makes a webhook; its secret is known now and never again.
pub async fn create(
    app: &Notification,
    caller: &Caller,
    address: &str,
    event_types: Vec<String>,
    description: String,
) -> Result<(Webhook, Secret), Problem> {
    check_readable(caller, &event_types)?;
    let actor = Actor::of(caller)?;
    let now = app.clock.now();
    let webhook = Webhook {
        id: WebhookId::new(now),
        url: url(app, address)?,
        description,
        event_types,
        is_active: true,
        disabled_reason: None,
        failing_since: None,
        last_success_at: None,
        previous_until: None,
        created_by: actor.id,
        created_at: now,
        updated_at: now,
    };
    let secret = Secret::new().map_err(Problem::internal)?;
    let sealed = app
        .sealer
        .seal(&webhook.id.to_string(), secret.bytes())
        .map_err(Problem::internal)?;
    let written = app.db.write(move |mut tx| async move {
        if webhooks::lock_count(&mut tx).await? >= MOST {
            return Err(Problem::new(&codes::TOO_MANY_WEBHOOKS).into());
        }
        webhooks::insert(&mut *tx, &webhook, &sealed).await?;
        actor
            .tell(&mut tx, webhook.id, "created", webhook.url.clone())
            .await?;
        Ok::<_, ChangeError>(tx.commit(webhook).await?)
    });
    Ok((written.await?, secret))
}
