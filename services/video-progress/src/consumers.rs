//! Events of others -> local projections, through the inbox.

use std::sync::Arc;

use contracts::events::v1::VideoChanged;
use event_bus::{HandlerError, Subscription};

use crate::app::VideoProgress;
use crate::storage::metadata;
use crate::storage::videos::{self, Video};
use crate::usecases::complete_courses::after_removal;

/// `video-progress.videos`: which videos a course has.
pub fn videos(app: &Arc<VideoProgress>) -> Subscription {
    let app = Arc::clone(app);
    Subscription::new("video-progress", "videos").on::<VideoChanged, _>(move |tx, delivery| {
        let app = Arc::clone(&app);
        Box::pin(async move {
            let video =
                Video::try_from(delivery.event).map_err(|fault| HandlerError::Poison(Box::new(fault)))?;
            videos::keep(&mut **tx, &video).await?;
            metadata::keep(tx, &video).await?;
            if video.is_deleted {
                after_removal(tx, video.course_id, app.clock.now()).await?;
            }
            app.videos.forget(video.id).await;
            Ok(())
        })
    })
}
