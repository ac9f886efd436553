//! A shell over the use cases: parse, call, convert.

mod convert;
mod webhooks;

use std::sync::Arc;

use contracts::Empty;
use contracts::notification::v1::notification_service_server::NotificationService;
use contracts::notification::v1::{
    Announcement, CreateAnnouncementRequest, CreateLiveTicketRequest, CreateLiveTicketResponse,
    GetPreferencesRequest, ListAnnouncementsRequest, ListAnnouncementsResponse,
    ListNotificationsAfterRequest, ListNotificationsAfterResponse, ListNotificationsRequest,
    ListNotificationsResponse, MarkAllReadRequest, MarkAllReadResponse, MarkReadRequest, Notification,
    Preferences, PutPreferencesRequest, UnsubscribeRequest,
};
use service_runtime::grpc::admit;
use tonic::{Request, Response, Status};

use crate::app::Notification as App;
use crate::usecases::announce::{self, announce};
use crate::usecases::create_live_ticket::create_live_ticket;
use crate::usecases::list_notifications::list_notifications;
use crate::usecases::list_notifications_after::list_notifications_after;
use crate::usecases::mark_read::{mark_all_read, mark_read};
use crate::usecases::preferences;
use crate::usecases::unsubscribe::unsubscribe;
use convert::{announcement, id, wanted};
pub use webhooks::WebhookGrpc;

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
        let marked = mark_read(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(marked.into()))
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
        let user = id("user_id", &req.user_id)?;
        let after = id("after_id", &req.after_id)?;
        let (found, has_more) = list_notifications_after(&self.app, user, after).await?;
        Ok(Response::new(ListNotificationsAfterResponse {
            notifications: found.into_iter().map(Notification::from).collect(),
            has_more,
        }))
    }

    async fn get_preferences(
        &self,
        request: Request<GetPreferencesRequest>,
    ) -> Result<Response<Preferences>, Status> {
        let (caller, _) = admit(request)?;
        Ok(Response::new(preferences::get(&self.app, &caller).await?.into()))
    }

    async fn put_preferences(
        &self,
        request: Request<PutPreferencesRequest>,
    ) -> Result<Response<Preferences>, Status> {
        let (caller, req) = admit(request)?;
        let stored = preferences::put(&self.app, &caller, wanted(&req)?).await?;
        Ok(Response::new(stored.into()))
    }

    async fn unsubscribe(&self, request: Request<UnsubscribeRequest>) -> Result<Response<Empty>, Status> {
        let (_, req) = admit(request)?;
        unsubscribe(&self.app, &req.token).await?;
        Ok(Response::new(Empty {}))
    }

    async fn create_announcement(
        &self,
        request: Request<CreateAnnouncementRequest>,
    ) -> Result<Response<Announcement>, Status> {
        let (caller, req) = admit(request)?;
        let course = id("course_id", &req.course_id)?;
        let made = announce(&self.app, &caller, course, &req.title, &req.body).await?;
        Ok(Response::new(announcement(made, true)))
    }

    async fn list_announcements(
        &self,
        request: Request<ListAnnouncementsRequest>,
    ) -> Result<Response<ListAnnouncementsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let (course, size) = (
            id("course_id", &req.course_id)?,
            postgres::page_size(req.page_size),
        );
        let page = announce::list(&self.app, &caller, course, size, req.page_token.as_deref()).await?;
        let announcements = page.announcements.into_iter();
        Ok(Response::new(ListAnnouncementsResponse {
            announcements: announcements
                .map(|one| announcement(one, page.is_staff))
                .collect(),
            next_page_token: page.next_page_token,
        }))
    }
}
