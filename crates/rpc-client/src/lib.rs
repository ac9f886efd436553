//! gRPC calls between our processes: deadline, retry budget, circuit breaker, trace propagation, service tokens.

mod breaker;
mod budget;
mod call_stream;
mod client;
mod connection;
mod encoded;
pub mod exchange;
mod service_tokens;

pub use breaker::{Breaker, BreakerSettings};
pub use client::{RpcClient, RpcError, RpcSettings};
pub use encoded::{decode, encode};
pub use service_tokens::ServiceTokens;
