//! PostgreSQL as this product uses it: primary and replica pools, write transactions that a client's hang-up cannot cancel and
//! that cannot forget their commit, named constraints, page tokens, migrations.

mod errors;
mod migrations;
mod page_token;
mod pool;
mod write;

pub use errors::{problem_of, violated_constraint};
pub use migrations::{MigrationError, migrate, pending};
pub use page_token::{PageTokens, page_size};
pub use pool::{ConnectError, Database, DatabaseSettings};
pub use write::{Finished, WriteError, WriteTx};
