//! The only SQL of this service.

pub mod categories;
pub mod course_lists;
pub mod courses;
pub mod imports;
pub mod teachers;
pub mod topics;
pub mod videos;
