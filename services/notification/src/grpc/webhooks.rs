use std::sync::Arc;

use contracts::notification::v1::webhook_service_server::WebhookService;
use contracts::notification::v1::{
    CreateWebhookRequest, CreateWebhookResponse, DeleteWebhookRequest, GetWebhookRequest,
    ListWebhookDeliveriesRequest, ListWebhookDeliveriesResponse, ListWebhooksRequest, ListWebhooksResponse,
    ReplayWebhookDeliveryRequest, RotateWebhookSecretRequest, RotateWebhookSecretResponse,
    TestWebhookRequest, UpdateWebhookRequest, Webhook, WebhookDelivery,
};
use contracts::{Empty, timestamp};
use service_runtime::grpc::admit;
use time::Duration;
use tonic::{Request, Response, Status};

use super::convert::id;
use crate::app::Notification as App;
use crate::storage::webhook_deliveries::Delivery;
use crate::storage::webhooks::{Change, Webhook as Stored};
use crate::usecases::webhooks::create::create;
use crate::usecases::webhooks::delete::delete;
use crate::usecases::webhooks::list::{get, list};
use crate::usecases::webhooks::list_deliveries::list_deliveries;
use crate::usecases::webhooks::replay::replay;
use crate::usecases::webhooks::rotate_secret::rotate_secret;
use crate::usecases::webhooks::test::test;
use crate::usecases::webhooks::update::update;

const OVERLAP_HOURS: i32 = 24;

pub struct WebhookGrpc {
    app: Arc<App>,
}

impl WebhookGrpc {
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl WebhookService for WebhookGrpc {
    async fn create_webhook(
        &self,
        request: Request<CreateWebhookRequest>,
    ) -> Result<Response<CreateWebhookResponse>, Status> {
        let (caller, req) = admit(request)?;
        let (made, secret) = create(&self.app, &caller, &req.url, req.event_types, req.description).await?;
        Ok(Response::new(CreateWebhookResponse {
            webhook: Some(made.into()),
            secret: secret.text(),
        }))
    }

    async fn list_webhooks(
        &self,
        request: Request<ListWebhooksRequest>,
    ) -> Result<Response<ListWebhooksResponse>, Status> {
        let (_, req) = admit(request)?;
        let size = postgres::page_size(req.page_size);
        let (rows, next_page_token) = list(&self.app, size, req.page_token.as_deref()).await?;
        Ok(Response::new(ListWebhooksResponse {
            webhooks: rows.into_iter().map(Webhook::from).collect(),
            next_page_token,
        }))
    }

    async fn get_webhook(&self, request: Request<GetWebhookRequest>) -> Result<Response<Webhook>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(get(&self.app, id("id", &req.id)?).await?.into()))
    }

    async fn update_webhook(
        &self,
        request: Request<UpdateWebhookRequest>,
    ) -> Result<Response<Webhook>, Status> {
        let (caller, req) = admit(request)?;
        let change = Change {
            url: req.url,
            description: req.description,
            event_types: Some(req.event_types).filter(|types| !types.is_empty()),
            is_active: req.is_active,
        };
        let changed = update(&self.app, &caller, id("id", &req.id)?, change).await?;
        Ok(Response::new(changed.into()))
    }

    async fn delete_webhook(
        &self,
        request: Request<DeleteWebhookRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        delete(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn rotate_webhook_secret(
        &self,
        request: Request<RotateWebhookSecretRequest>,
    ) -> Result<Response<RotateWebhookSecretResponse>, Status> {
        let (caller, req) = admit(request)?;
        let overlap = Duration::hours(i64::from(req.overlap_hours.unwrap_or(OVERLAP_HOURS)));
        let (secret, until) = rotate_secret(&self.app, &caller, id("id", &req.id)?, overlap).await?;
        Ok(Response::new(RotateWebhookSecretResponse {
            secret: secret.text(),
            previous_secret_until: until.map(timestamp),
        }))
    }

    async fn test_webhook(
        &self,
        request: Request<TestWebhookRequest>,
    ) -> Result<Response<WebhookDelivery>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(test(&self.app, id("id", &req.id)?).await?.into()))
    }

    async fn list_webhook_deliveries(
        &self,
        request: Request<ListWebhookDeliveriesRequest>,
    ) -> Result<Response<ListWebhookDeliveriesResponse>, Status> {
        let (_, req) = admit(request)?;
        let (webhook, size) = (id("id", &req.id)?, postgres::page_size(req.page_size));
        let (state, token) = (req.state.as_deref(), req.page_token.as_deref());
        let (rows, next_page_token) = list_deliveries(&self.app, webhook, state, size, token).await?;
        Ok(Response::new(ListWebhookDeliveriesResponse {
            deliveries: rows.into_iter().map(WebhookDelivery::from).collect(),
            next_page_token,
        }))
    }

    async fn replay_webhook_delivery(
        &self,
        request: Request<ReplayWebhookDeliveryRequest>,
    ) -> Result<Response<WebhookDelivery>, Status> {
        let (caller, req) = admit(request)?;
        let delivery = replay(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(delivery.into()))
    }
}

impl From<Stored> for Webhook {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id.into(),
            url: stored.url,
            description: stored.description,
            event_types: stored.event_types,
            is_active: stored.is_active,
            disabled_reason: stored.disabled_reason,
            failing_since: stored.failing_since.map(timestamp),
            last_success_at: stored.last_success_at.map(timestamp),
            previous_secret_until: stored.previous_until.map(timestamp),
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
        }
    }
}

impl From<Delivery> for WebhookDelivery {
    fn from(stored: Delivery) -> Self {
        let is_pending = stored.state == "pending";
        Self {
            id: stored.id.into(),
            webhook_id: stored.webhook_id.into(),
            message_id: stored.message_id.into(),
            event_type: stored.event_type,
            state: stored.state,
            attempts: stored.attempts,
            created_at: Some(timestamp(stored.created_at)),
            next_attempt_at: is_pending.then(|| timestamp(stored.next_attempt_at)),
            last_attempt_at: stored.last_attempt_at.map(timestamp),
            last_status: stored.last_status,
            last_error: stored.last_error,
            last_response: stored.last_response,
            last_duration_ms: stored.last_duration_ms,
        }
    }
}
