//! A shell over the use cases: parse, call, convert.

use std::sync::Arc;

use contracts::notification::v1::notification_service_server::NotificationService;
use contracts::notification::v1::{
    CreateLiveTicketRequest, CreateLiveTicketResponse, ListNotificationsAfterRequest,
    ListNotificationsAfterResponse, ListNotificationsRequest, ListNotificationsResponse, MarkAllReadRequest,
    MarkAllReadResponse, MarkReadRequest, Notification,
};
use contracts::timestamp;
use problem::Problem;
use service_runtime::grpc::admit;
use tonic::{Request, Response, Status};
use typed_id::{InvalidId, NotificationId};

use crate::app::Notification as App;
use crate::storage::notifications::{NewNotification, Notification as Stored};
use crate::usecases::create_live_ticket::create_live_ticket;
use crate::usecases::list_notifications::list_notifications;
use crate::usecases::list_notifications_after::list_notifications_after;
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
        let id: NotificationId = req.id.parse().map_err(|fault| not_a_uuid("id", fault))?;
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

    async fn create_live_ticket(
        &self,
        request: Request<CreateLiveTicketRequest>,
    ) -> Result<Response<CreateLiveTicketResponse>, Status> {
        let (caller, _) = admit(request)?;
        let ticket = create_live_ticket(&self.app, &caller).await?;
        Ok(Response::new(CreateLiveTicketResponse {
            ticket: ticket.text,
            expires_in: i32::try_from(ticket.lives.as_secs()).unwrap_or(i32::MAX),
        }))
    }

    async fn list_notifications_after(
        &self,
        request: Request<ListNotificationsAfterRequest>,
    ) -> Result<Response<ListNotificationsAfterResponse>, Status> {
        let (_, req) = admit(request)?;
        let user = req
            .user_id
            .parse()
            .map_err(|fault| not_a_uuid("user_id", fault))?;
        let after = req
            .after_id
            .parse()
            .map_err(|fault| not_a_uuid("after_id", fault))?;
        let (found, has_more) = list_notifications_after(&self.app, user, after).await?;
        Ok(Response::new(ListNotificationsAfterResponse {
            notifications: found.into_iter().map(Notification::from).collect(),
            has_more,
        }))
    }
}

fn not_a_uuid(field: &str, fault: InvalidId) -> Problem {
    Problem::invalid_field(field, "string.uuid", "has to be a UUID").with_source(fault)
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

impl From<&NewNotification<'_>> for Notification {
    fn from(new: &NewNotification<'_>) -> Self {
        Self {
            id: new.id.into(),
            kind: new.kind.to_owned(),
            title: new.title.to_owned(),
            body: new.body.to_owned(),
            read: false,
            created_at: Some(timestamp(new.created_at)),
            link: new.link.to_owned(),
        }
    }
}
