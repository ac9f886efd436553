//! Events of others -> the projection of teachers and the lengths of videos, through the inbox.

use std::sync::Arc;

use contracts::events::v1::{UserRegistered, UserUpdated, VideoMetadataFetched};
use event_bus::{Delivery, HandlerError, Subscription};
use postgres::WriteTx;
use typed_id::{InvalidId, UserId, VideoId};

use crate::app::Catalog;
use crate::storage::teachers;
use crate::storage::videos::Synced;
use crate::usecases::videos::{Metadata, keep_metadata};

/// `catalog.users`: names of who may teach.
pub fn users() -> Subscription {
    Subscription::new("catalog", "users")
        .on::<UserRegistered, _>(|tx, delivery| Box::pin(registered(tx, delivery)))
        .on::<UserUpdated, _>(|tx, delivery| Box::pin(updated(tx, delivery)))
}

/// `catalog.video-metadata`: what YouTube says of a video.
pub fn video_metadata(app: &Arc<Catalog>) -> Subscription {
    let app = Arc::clone(app);
    Subscription::new("catalog", "video-metadata").on::<VideoMetadataFetched, _>(move |tx, delivery| {
        let app = Arc::clone(&app);
        Box::pin(async move { metadata_fetched(&app, tx, delivery).await })
    })
}

async fn metadata_fetched(
    app: &Arc<Catalog>,
    tx: &mut WriteTx,
    delivery: Delivery<VideoMetadataFetched>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    let id: VideoId = event
        .video_id
        .parse()
        .map_err(|fault: InvalidId| HandlerError::Poison(fault.into()))?;
    let told = Metadata {
        youtube_id: event.youtube_id,
        title: event.title,
        duration_seconds: event.duration_seconds,
        synced: Synced {
            status: event.status,
            thumbnail_url: event.thumbnail_url,
            at: delivery.occurred_at,
        },
    };
    if let Some(course) = keep_metadata(tx, id, told).await? {
        app.caching.forget(course).await;
        // Once more when others can see it: the transaction is that of a batch, and may end much later.
        let app = Arc::clone(app);
        tx.after_commit(move || {
            tokio::spawn(async move { app.caching.forget(course).await });
        });
    }
    Ok(())
}

async fn registered(tx: &mut WriteTx, delivery: Delivery<UserRegistered>) -> Result<(), HandlerError> {
    let event = delivery.event;
    keep(tx, &event.user_id, event.version, &event.full_name).await
}

async fn updated(tx: &mut WriteTx, delivery: Delivery<UserUpdated>) -> Result<(), HandlerError> {
    let event = delivery.event;
    keep(tx, &event.user_id, event.version, &event.full_name).await
}

async fn keep(tx: &mut WriteTx, id: &str, version: i32, name: &str) -> Result<(), HandlerError> {
    let id: UserId = id
        .parse()
        .map_err(|fault: InvalidId| HandlerError::Poison(fault.into()))?;
    Ok(teachers::upsert(&mut **tx, id, version, name).await?)
}
