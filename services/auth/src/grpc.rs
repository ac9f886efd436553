//! A shell over the use cases: parse, call, convert.

mod auth;
mod convert;
mod users;

pub use auth::AuthGrpc;
pub use users::UserGrpc;
