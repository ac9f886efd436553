//! The gateway as its clients see it, over stubs of the services.

mod backend;
mod caching;
mod connections;
mod edge;
mod errors;
mod health;
mod http2;
mod identity;
mod limits;
mod raw;
mod slow;
