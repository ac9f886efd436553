//! The gateway as its clients see it, over stubs of the services.

mod backend;
mod bodies;
mod caching;
mod connections;
mod edge;
mod errors;
mod expectations;
mod files;
mod frames;
mod health;
mod http2;
mod http2_rules;
mod identity;
mod injection;
mod limits;
mod live;
mod paths;
mod raw;
mod resting;
mod slow;
mod smuggling;
