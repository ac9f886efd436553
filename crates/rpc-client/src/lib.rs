//! gRPC calls between our processes: deadline, retry budget, circuit breaker, trace propagation, service tokens.

mod breaker;
mod budget;
mod client;
mod connection;
mod encoded;
mod service_tokens;

pub use breaker::{Breaker, BreakerSettings};
pub use client::{RpcClient, RpcError, RpcSettings};
pub use encoded::{decode, encode};
pub use service_tokens::ServiceTokens;
