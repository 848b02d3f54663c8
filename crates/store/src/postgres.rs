//! The store on PostgreSQL, for several processes on one database.
//!
//! Keeps nothing in memory that another process could change, and nothing in a server session, so that a transaction
//! pooler may be in between. Statements take whole batches as arrays.

#[macro_use]
mod transactions;

mod accept;
mod admin;
mod advisory_locks;
mod broadcasts;
mod channel_binding;
mod claims;
mod connection_config;
mod connector;
mod coordination;
mod copy;
mod drop_partition;
mod due_search;
mod durability;
mod errors;
mod escape;
mod event_outbox;
mod events;
mod group_commit;
mod horizon;
mod idempotency;
mod inbound;
mod loaded_deliveries;
mod maintenance;
mod message_hours;
mod migrate;
mod move_state;
mod partitions;
mod pool;
mod prune;
mod rate_permits;
mod read;
mod receipts;
mod recipients;
mod record;
mod replica;
mod report;
mod rollups;
mod sql_row;
mod store;
mod suppressed;
mod tls;
mod unmatched_receipts;
mod usage;
mod user_throttle;

#[cfg(test)]
mod tests;

pub(super) use self::copy::open_table_store;
pub use self::migrate::{migrate, pending_migrations};
pub use self::replica::check_replica;
pub use self::store::PostgresStore;
