//! Events of others -> local projections, through the inbox.

use std::sync::Arc;

use contracts::events::v1::VideoChanged;
use event_bus::{HandlerError, Subscription};
use task_queue::enqueue;

use crate::app::VideoProgress;
use crate::storage::metadata;
use crate::storage::videos::{self, Video};
use crate::tasks::FetchMetadata;
use crate::usecases::complete_courses::after_removal;

/// `video-progress.videos`: which videos a course has. YouTube is asked for new ones, where there is a key for it.
pub fn videos(app: &Arc<VideoProgress>, asks_youtube: bool) -> Subscription {
    let app = Arc::clone(app);
    Subscription::new("video-progress", "videos").on::<VideoChanged, _>(move |tx, delivery| {
        let app = Arc::clone(&app);
        Box::pin(async move {
            let video =
                Video::try_from(delivery.event).map_err(|fault| HandlerError::Poison(Box::new(fault)))?;
            videos::keep(&mut **tx, &video).await?;
            // What is stored, as this may be an older word than that.
            let video = videos::by_id(&mut **tx, video.id).await?.unwrap_or(video);
            if metadata::keep(tx, &video).await? && asks_youtube {
                enqueue(tx, &FetchMetadata { video_id: video.id }).await?;
            }
            if video.is_deleted {
                after_removal(tx, video.course_id, app.clock.now()).await?;
            }
            app.videos.forget(video.id).await;
            // Once more when others can see it: the transaction is that of a batch, and may end much later.
            tx.after_commit(move || {
                tokio::spawn(async move { app.videos.forget(video.id).await });
            });
            Ok(())
        })
    })
}
