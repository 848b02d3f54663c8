//! The durable store: messages, deliveries, attempts, receipts, recipients, events, broadcasts and the report's rollups.
//!
//! [`open`] returns the backend that a URL names: SQLite or PostgreSQL. A method that returns `Ok` has committed to
//! disk; a method that returns an error has changed nothing. Methods take batches. Connections, rows and SQL stay
//! inside the crate. A caller takes the capability trait that it uses; the conformance suite in `testing` defines what
//! every backend guarantees.

#[macro_use]
mod sql;

mod accept;
mod admin;
mod broadcasts;
mod commit_stats;
mod coordination;
mod copy;
mod events;
mod inbound;
mod maintenance;
mod migration;
mod options;
mod postgres;
mod read;
mod receipts;
mod recipients;
mod report;
mod rollups;
mod rows;
mod sqlite;
mod url;
mod usage;
mod work;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use self::accept::AcceptStore;
pub use self::admin::{AdminStore, Cancelled, DeliverySelection, SelectableStatus};
pub use self::broadcasts::BroadcastStore;
pub use self::commit_stats::CommitStats;
pub use self::coordination::{CoordinationStore, ProbeDecision, RatePermit};
pub use self::copy::{MoveOptions, MoveStage, StoreMove, TableComparison};
pub use self::events::{DeadLetterRequest, EventQuery, EventStore, WaitingEndpoint};
pub use self::inbound::{InboundQuery, InboundStore};
pub use self::maintenance::{MaintenanceStore, Progress, ProviderEndpoint};
pub use self::options::{DEFAULT_CONNECTIONS_MAX, DEFAULT_LOCK_TIMEOUT, MIGRATION_TIMEOUT, StoreOptions};
pub use self::read::{Backlog, LastAttempt, MessageList, MessageQuery, ReadStore};
pub use self::receipts::{MatchedDelivery, ReceiptResult, ReceivedReceipt, UNMATCHED_RECEIPTS_MAX};
pub use self::recipients::RecipientStore;
pub use self::report::{ReportSnapshot, ReportStore};
pub use self::url::{
    check_replica, migrate, missing_folder, missing_store, open, open_with, pending_migrations,
};
pub use self::usage::{UsageQuery, UsageTotals};
pub use self::work::WorkStore;

/// A complete store: the sum of all capabilities, without methods of its own.
pub trait Store:
    AcceptStore
    + WorkStore
    + ReadStore
    + RecipientStore
    + AdminStore
    + CoordinationStore
    + ReportStore
    + EventStore
    + InboundStore
    + BroadcastStore
    + MaintenanceStore
{
}

impl Store for postgres::PostgresStore {}
impl Store for sqlite::SqliteStore {}
