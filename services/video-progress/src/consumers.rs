//! Events of others -> local projections, through the inbox.

use std::sync::Arc;

use contracts::events::v1::VideoChanged;
use event_bus::{Delivery, HandlerError, Subscription};
use postgres::WriteTx;
use typed_id::InvalidId;

use crate::app::VideoProgress;
use crate::storage::videos::Video;
use crate::usecases::keep_videos::keep_videos;

/// `video-progress.videos`: which videos a course has. YouTube is asked for new ones, where there is a key for it.
pub fn videos(app: &Arc<VideoProgress>, asks_youtube: bool) -> Subscription {
    let app = Arc::clone(app);
    Subscription::new("video-progress", "videos").on_all::<VideoChanged, _>(move |tx, deliveries| {
        let app = Arc::clone(&app);
        Box::pin(async move { changed(app, tx, deliveries, asks_youtube).await })
    })
}

pub async fn changed(
    app: Arc<VideoProgress>,
    tx: &mut WriteTx,
    deliveries: Vec<Delivery<VideoChanged>>,
    asks_youtube: bool,
) -> Result<(), HandlerError> {
    let told: Vec<Video> = deliveries
        .into_iter()
        .map(|delivery| Video::try_from(delivery.event))
        .collect::<Result<_, InvalidId>>()
        .map_err(|fault| HandlerError::Poison(fault.into()))?;
    let changed = keep_videos(tx, told, asks_youtube, app.clock.now()).await?;
    app.videos.forget(&changed).await;
    // Once more when others can see it: the transaction is that of a batch, and may end much later.
    tx.after_commit(move || {
        tokio::spawn(async move { app.videos.forget(&changed).await });
    });
    Ok(())
}
