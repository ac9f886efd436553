//! What every process does alike: command line, configuration, telemetry, gRPC server stack, health, shutdown.

pub mod admin;
mod app;
mod command_line;
pub mod configuration;
pub mod demo;
mod exchange;
pub mod grpc;
mod grpc_stack;
mod idempotency;
mod jobs;
mod operation_limits;
mod revocation;
pub mod revocation_mirror;
mod runtime;
mod serve;
pub mod settings;
mod shutdown;
pub mod testing;

pub use app::{App, NoCommand};
pub use command_line::main;
pub use configuration::Faults;
pub use operation_limits::{OperationLimits, Overdue};
pub use runtime::Runtime;
pub use scheduler::{Job, RunContext};
pub use settings::{Check, Environment, RuntimeSettings};
pub use sqlx::migrate::Migrator;

/// Of every process of ours.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
