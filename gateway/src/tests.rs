//! The gateway as its clients see it, over stubs of the services.

mod backend;
mod caching;
mod connections;
mod edge;
mod errors;
mod health;
mod identity;
mod limits;
mod live;
