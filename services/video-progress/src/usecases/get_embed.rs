use access_token::Caller;
use postgres::{Database, WriteError};
use problem::{Problem, codes};
use typed_id::VideoId;

use crate::app::VideoProgress;
use crate::storage::access_log::{self, Access};

/// The player's address, for members of the video's course (C-VID-03). Both outcomes are logged before the answer.
pub async fn get_embed(app: &VideoProgress, caller: &Caller, id: VideoId) -> Result<String, Problem> {
    let user = caller.user()?;
    let video = app.videos.get(id).await?;
    let member = app.roster.member_course(user, video.course_id).await;
    let is_refused = matches!(&member, Err(problem) if problem.code() == &codes::NOT_ENROLLED);
    if member.is_ok() || is_refused {
        let access = Access {
            user_id: user.id,
            video_id: id,
            course_id: video.course_id,
            is_granted: member.is_ok(),
            ip: request_context::current()
                .client_ip
                .map(|ip| ip.to_string())
                .unwrap_or_default(),
            at: app.clock.now(),
        };
        app.accesses.write(user.id, access).await?;
    }
    member?;
    Ok(embed_url(&video.youtube_id))
}

fn embed_url(youtube_id: &str) -> String {
    format!("https://www.youtube.com/embed/{youtube_id}?rel=0&modestbranding=1")
}

/// Writes a batch of the log.
pub async fn write(db: Database, batch: Vec<Access>) -> Result<Vec<()>, WriteError> {
    let count = batch.len();
    db.write(move |mut tx| async move {
        access_log::write(&mut tx, &batch).await?;
        tx.commit(()).await
    })
    .await?;
    Ok(vec![(); count])
}
