//! gRPC calls between our processes: deadline, retry budget, circuit breaker, trace propagation, service tokens.

mod breaker;
mod budget;
mod client;
mod service_tokens;

pub use breaker::{Breaker, BreakerSettings};
pub use client::{RpcClient, RpcError, RpcSettings};
pub use service_tokens::ServiceTokens;
