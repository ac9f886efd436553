use access_token::Caller;
use problem::{Problem, codes};
use time::{Duration, OffsetDateTime};
use typed_id::WebhookId;

use super::Actor;
use crate::app::Notification;
use crate::domain::webhook::Secret;
use crate::storage::webhooks;
use crate::usecases::ChangeError;

/// Makes a new secret. The former one signs too until the moment that is answered; `None`: not any more.
pub async fn rotate_secret(
    app: &Notification,
    caller: &Caller,
    id: WebhookId,
    overlap: Duration,
) -> Result<(Secret, Option<OffsetDateTime>), Problem> {
    let actor = Actor::of(caller)?;
    let secret = Secret::new().map_err(Problem::internal)?;
    let sealed = app
        .sealer
        .seal(&id.to_string(), secret.bytes())
        .map_err(Problem::internal)?;
    let written = app.db.write(move |mut tx| async move {
        let now = tx.clock().now();
        let until = now + overlap;
        let url = webhooks::rotate(&mut *tx, id, &sealed, until, now).await?;
        let url = url.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
        actor.tell(&mut tx, id, "secret_rotated", url).await?;
        Ok::<_, ChangeError>(tx.commit((until > now).then_some(until)).await?)
    });
    Ok((secret, written.await?))
}
