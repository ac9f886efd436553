//! Webhooks of institutions: what admins do with them.

pub mod create;
pub mod delete;
pub mod list;
pub mod list_deliveries;
pub mod queue;
pub mod replay;
pub mod rotate_secret;
pub mod test;
pub mod update;

use access_token::Caller;
use contracts::events::v1::WebhookChanged;
use event_bus::outbox;
use postgres::WriteTx;
use problem::{Problem, codes};
use typed_id::{UserId, WebhookId};

use crate::app::Notification;
use crate::domain::public_address::webhook_url;
use crate::domain::webhook::readable_with;

/// Who does something, for the log of what was done.
#[derive(Debug, Clone, Copy)]
pub struct Actor {
    pub id: UserId,
    impersonator: Option<UserId>,
}

impl Actor {
    pub fn of(caller: &Caller) -> Result<Self, Problem> {
        let user = caller.user()?;
        Ok(Self {
            id: user.id,
            impersonator: user.impersonator,
        })
    }

    async fn tell(
        self,
        tx: &mut WriteTx,
        id: WebhookId,
        change: &str,
        url: String,
    ) -> Result<(), sqlx::Error> {
        let event = WebhookChanged {
            webhook_id: id.into(),
            change: change.into(),
            actor_id: self.id.into(),
            impersonator_id: self.impersonator.map(String::from).unwrap_or_default(),
            url,
        };
        outbox::append(tx, &event).await?;
        Ok(())
    }
}

/// Refuses who may not read what events of these types tell.
fn check_readable(caller: &Caller, event_types: &[String]) -> Result<(), Problem> {
    let missing = (event_types.iter())
        .map(|event_type| readable_with(event_type))
        .find(|permission| !caller.has(permission));
    missing.map_or(Ok(()), |permission| {
        let detail = format!("To be told of these events needs the permission {permission}.");
        Err(Problem::new(&codes::PERMISSION_DENIED).with_detail(detail))
    })
}

/// The URL as it is stored.
fn url(app: &Notification, text: &str) -> Result<String, Problem> {
    webhook_url(text, app.has_open_webhooks)
        .map(String::from)
        .map_err(|refused| Problem::invalid_field("url", refused.code(), refused.to_string()))
}
