//! One verb a file.

pub mod complete_courses;
pub mod course_progress;
pub mod get_embed;
pub mod keep_videos;
pub mod report_progress;
pub mod sync_metadata;
