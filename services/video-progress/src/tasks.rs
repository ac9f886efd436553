//! Work of this service in the background.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use task_queue::{Done, Lane, Policy, Task, TaskError, TaskRun, Tasks, enqueue};
use typed_id::VideoId;

use crate::usecases::sync_metadata::{MetadataSync, Wanted};

/// The API answers within seconds.
const POLICY: Policy = Policy::OUTSIDE_CALL.limits(Duration::from_mins(1), Duration::from_mins(2));

/// C-VID-09: what YouTube says of a new video.
#[derive(Debug, Serialize, Deserialize)]
pub struct FetchMetadata {
    pub video_id: VideoId,
}

impl Task for FetchMetadata {
    const NAME: &'static str = "video.fetch_metadata";
    const LANE: Lane = Lane::Default;
    const POLICY: Policy = POLICY.rate(5, Duration::from_secs(1));
}

/// C-VID-10: what YouTube says of everything that is due by now, batch by batch.
#[derive(Debug, Serialize, Deserialize)]
pub struct SyncMetadata {}

impl Task for SyncMetadata {
    const NAME: &'static str = "video.sync_metadata";
    const LANE: Lane = Lane::Low;
    const POLICY: Policy = POLICY.rate(2, Duration::from_secs(1));
}

pub fn tasks(sync: MetadataSync) -> Tasks {
    let sync = Arc::new(sync);
    let for_new = Arc::clone(&sync);
    Tasks::new()
        .on::<FetchMetadata, _, _>(move |task, run| {
            let sync = Arc::clone(&for_new);
            async move { ask(&sync, Wanted::New(task.video_id), &run).await }
        })
        .on::<SyncMetadata, _, _>(move |_, run| {
            let sync = Arc::clone(&sync);
            async move { ask(&sync, Wanted::Due, &run).await }
        })
}

async fn ask(sync: &MetadataSync, wanted: Wanted, run: &TaskRun) -> Result<Done, TaskError> {
    let Some(told) = sync.ask(wanted).await? else {
        return run.done("nothing to ask for").await;
    };
    run.finish(move |tx| {
        Box::pin(async move {
            let unusable = told.store(tx).await?;
            if wanted == Wanted::Due && told.is_full() {
                enqueue(tx, &SyncMetadata {}).await?;
            }
            Ok(format!(
                "asked for {} videos, {unusable} cannot be watched",
                told.count()
            ))
        })
    })
    .await
}
