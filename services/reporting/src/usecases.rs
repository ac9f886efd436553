//! What the service does, one verb a file.

pub mod clean;
pub mod compute_statistics;
pub mod create_report;
pub mod get_statistics;
pub mod held_operation;
pub mod list_activity;
pub mod make_weekly_summaries;
pub mod record_activity;
pub mod report_rows;
pub mod write_report;
