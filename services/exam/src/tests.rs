//! The service on a real database, without its server.

mod accommodations;
mod answers;
mod attempts;
mod classroom;
mod erasure;
mod finals;
mod grading;
mod model;
mod questions;
