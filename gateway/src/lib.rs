//! The HTTP edge: terminates HTTP, checks tokens and limits, routes to the services over gRPC.

mod admission;
mod answer;
mod app;
mod client_ip;
mod config;
mod etag;
mod health;
mod listen;
mod live;
mod pages;
mod rest;
mod shedding;
mod stack;
#[cfg(test)]
mod tests;
mod tls;

pub use app::Gateway as App;
