//! The SQLite backend: one thread that writes, and a few connections that read.
//!
//! Writes go to the write thread, which commits all waiting writes together; reads run on a pool of connections. Several
//! processes may share the file, so no value that another process could change is kept in memory. Each capability trait
//! is implemented in the module of its subject.

mod accept;
mod admin;
mod backup;
mod broadcasts;
mod claims;
mod connect;
mod coordination;
mod copy;
mod errors;
mod events;
mod inbound;
mod maintenance;
mod messages;
mod migrate;
mod private_database_file;
mod query;
mod read;
mod reader_pool;
mod receipts;
mod recipients;
mod report;
mod sql_row;
mod store;
mod suppressed;
mod unclaimed;
mod user_throttle;
mod write_thread;
mod write_transaction;

#[cfg(test)]
mod tests;

pub use self::copy::open_table_store;
pub use self::store::{SqliteStore, migrate, pending_migrations};
