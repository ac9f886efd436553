//! A shell over the use cases: parse, call, convert.

use std::sync::Arc;

use contracts::notification::v1::notification_service_server::NotificationService;
use contracts::notification::v1::{
    ListNotificationsRequest, ListNotificationsResponse, MarkAllReadRequest, MarkAllReadResponse,
    MarkReadRequest, Notification,
};
use contracts::timestamp;
use problem::Problem;
use service_runtime::grpc::admit;
use tonic::{Request, Response, Status};
use typed_id::{InvalidId, NotificationId};

use crate::app::Notification as App;
use crate::storage::notifications::Notification as Stored;
use crate::usecases::list_notifications::list_notifications;
use crate::usecases::mark_read::{mark_all_read, mark_read};

pub struct NotificationGrpc {
    app: Arc<App>,
}

impl NotificationGrpc {
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl NotificationService for NotificationGrpc {
    async fn list_notifications(
        &self,
        request: Request<ListNotificationsRequest>,
    ) -> Result<Response<ListNotificationsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let size = postgres::page_size(req.page_size);
        let only_unread = req.unread.unwrap_or(false);
        let page =
            list_notifications(&self.app, &caller, only_unread, size, req.page_token.as_deref()).await?;
        Ok(Response::new(ListNotificationsResponse {
            notifications: page.notifications.into_iter().map(Notification::from).collect(),
            next_page_token: page.next_page_token,
            unread_count: i32::try_from(page.unread_count).unwrap_or(i32::MAX),
        }))
    }

    async fn mark_read(&self, request: Request<MarkReadRequest>) -> Result<Response<Notification>, Status> {
        let (caller, req) = admit(request)?;
        let id: NotificationId = req.id.parse().map_err(|fault: InvalidId| {
            Problem::invalid_field("id", "string.uuid", "has to be a UUID").with_source(fault)
        })?;
        Ok(Response::new(mark_read(&self.app, &caller, id).await?.into()))
    }

    async fn mark_all_read(
        &self,
        request: Request<MarkAllReadRequest>,
    ) -> Result<Response<MarkAllReadResponse>, Status> {
        let (caller, _) = admit(request)?;
        let marked = mark_all_read(&self.app, &caller).await?;
        Ok(Response::new(MarkAllReadResponse {
            marked_count: i32::try_from(marked).unwrap_or(i32::MAX),
        }))
    }
}

impl From<Stored> for Notification {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id.into(),
            kind: stored.kind,
            title: stored.title,
            body: stored.body,
            read: stored.read_at.is_some(),
            created_at: Some(timestamp(stored.created_at)),
            link: stored.link,
        }
    }
}
