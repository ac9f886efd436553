//! The service on a real database, without its server.

mod announcements;
mod digests;
mod erasure;
mod learning;
mod receiver;
mod relay;
mod reports;
mod retention;
mod school;
mod sending;
mod telling;
mod unsubscribing;
mod webhooks;
