//! Events of others -> the projection of teachers and the lengths of videos, through the inbox.

use contracts::events::v1::{UserRegistered, UserUpdated, VideoMetadataFetched};
use event_bus::{Delivery, HandlerError, Subscription};
use postgres::WriteTx;
use typed_id::{InvalidId, UserId, VideoId};

use crate::app::Catalog;
use crate::caching::Caching;
use crate::storage::teachers;
use crate::storage::videos::Synced;
use crate::usecases::videos::{Metadata, keep_metadata};

/// `catalog.users`: names of who may teach.
pub fn users(app: &Catalog) -> Subscription {
    let (for_new, for_known) = (app.caching.clone(), app.caching.clone());
    Subscription::new("catalog", "users")
        .on::<UserRegistered, _>(move |tx, delivery| {
            let caching = for_new.clone();
            Box::pin(async move { registered(&caching, tx, delivery).await })
        })
        .on::<UserUpdated, _>(move |tx, delivery| {
            let caching = for_known.clone();
            Box::pin(async move { updated(&caching, tx, delivery).await })
        })
}

/// `catalog.video-metadata`: what YouTube says of videos.
pub fn video_metadata(app: &Catalog) -> Subscription {
    let caching = app.caching.clone();
    Subscription::new("catalog", "video-metadata").on_all::<VideoMetadataFetched, _>(move |tx, deliveries| {
        let caching = caching.clone();
        Box::pin(async move { metadata_fetched(&caching, tx, deliveries).await })
    })
}

async fn metadata_fetched(
    caching: &Caching,
    tx: &mut WriteTx,
    deliveries: Vec<Delivery<VideoMetadataFetched>>,
) -> Result<(), HandlerError> {
    let told: Vec<(VideoId, Metadata)> = deliveries
        .into_iter()
        .map(metadata)
        .collect::<Result<_, _>>()
        .map_err(|fault| HandlerError::Poison(fault.into()))?;
    let changed = keep_metadata(tx, told).await?;
    caching.forget_after_commit(tx, changed);
    Ok(())
}

fn metadata(delivery: Delivery<VideoMetadataFetched>) -> Result<(VideoId, Metadata), InvalidId> {
    let event = delivery.event;
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
    Ok((event.video_id.parse()?, told))
}

async fn registered(
    caching: &Caching,
    tx: &mut WriteTx,
    delivery: Delivery<UserRegistered>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    keep(caching, tx, &event.user_id, event.version, &event.full_name).await
}

pub async fn updated(
    caching: &Caching,
    tx: &mut WriteTx,
    delivery: Delivery<UserUpdated>,
) -> Result<(), HandlerError> {
    let event = delivery.event;
    keep(caching, tx, &event.user_id, event.version, &event.full_name).await
}

async fn keep(
    caching: &Caching,
    tx: &mut WriteTx,
    id: &str,
    version: i32,
    name: &str,
) -> Result<(), HandlerError> {
    let id: UserId = id
        .parse()
        .map_err(|fault: InvalidId| HandlerError::Poison(fault.into()))?;
    let courses = teachers::upsert(&mut **tx, id, version, name).await?;
    caching.forget_after_commit(tx, courses);
    Ok(())
}
