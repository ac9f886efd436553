use sqlx::PgConnection;
use time::OffsetDateTime;
use typed_id::{CourseId, UserId, VideoId};
use uuid::Uuid;

/// One look at a video's address (C-VID-05).
#[derive(Debug, Clone)]
pub struct Access {
    pub user_id: UserId,
    pub video_id: VideoId,
    pub course_id: CourseId,
    pub is_granted: bool,
    pub ip: String,
    pub at: OffsetDateTime,
}

/// Writes many, and opens the progress of those who were let in: from then on the clock allows them to watch.
pub async fn write(db: &mut PgConnection, accesses: &[Access]) -> Result<(), sqlx::Error> {
    let users: Vec<Uuid> = accesses.iter().map(|a| a.user_id.0).collect();
    let videos: Vec<Uuid> = accesses.iter().map(|a| a.video_id.0).collect();
    let courses: Vec<Uuid> = accesses.iter().map(|a| a.course_id.0).collect();
    let granted: Vec<bool> = accesses.iter().map(|a| a.is_granted).collect();
    let ips: Vec<String> = accesses.iter().map(|a| a.ip.clone()).collect();
    let moments: Vec<OffsetDateTime> = accesses.iter().map(|a| a.at).collect();
    sqlx::query!(
        "WITH told AS (
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bool[], $5::text[], $6::timestamptz[])
                 AS t (user_id, video_id, course_id, is_granted, ip, at)
         ), logged AS (
             INSERT INTO video_progress.access_log (user_id, video_id, course_id, is_granted, ip, at)
             SELECT user_id, video_id, course_id, is_granted, ip, at FROM told
         )
         INSERT INTO video_progress.progress (user_id, video_id, course_id, started_at, updated_at)
         SELECT user_id, video_id, min(course_id::text)::uuid, min(at), min(at) FROM told WHERE is_granted
         GROUP BY user_id, video_id ORDER BY user_id, video_id
         ON CONFLICT (user_id, video_id) DO NOTHING",
        &users,
        &videos,
        &courses,
        &granted,
        &ips,
        &moments,
    )
    .execute(db)
    .await?;
    Ok(())
}
