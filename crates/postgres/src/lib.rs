//! PostgreSQL as this product uses it: primary and replica pools, write transactions that a client's hang-up cannot cancel and
//! that cannot forget their commit, named constraints, page tokens, migrations.

mod autocommit;
mod coalesce;
mod connections;
mod errors;
mod migrations;
mod page_token;
mod partitions;
mod pool;
mod replicas;
mod vacuum;
mod write;

pub use autocommit::Autocommit;
pub use coalesce::{CoalesceSettings, Coalescer};
pub use connections::Taken;
pub use errors::{is_about_others, is_away, problem_of, violated_constraint};
pub use migrations::{MigrationError, migrate, pending};
pub use page_token::{PageTokens, page_size};
pub use partitions::{drop_months, ensure_months};
pub use pool::{ConnectError, Database, DatabaseSettings};
pub use vacuum::{bloated_tables, vacuum};
pub use write::{Finished, WriteError, WriteTx};
