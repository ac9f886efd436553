//! A shell over the use cases: parse, call, convert.

mod auth;
mod convert;
mod operations;
mod users;

pub use auth::AuthGrpc;
pub use operations::OperationGrpc;
pub use users::UserGrpc;
