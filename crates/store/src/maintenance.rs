//! Maintenance: deleting what has expired, backup, health check.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::commit_stats::CommitStats;
use postrider_core::{clock::Timestamp, error::Result, name::ConfigName};

/// Keeps the store small, and checks and copies it.
#[async_trait]
pub trait MaintenanceStore: Send + Sync {
    /// Deletes at most `limit` messages that were accepted before `before` and have ended, and returns the number of
    /// deleted messages. Their counts stay in the report. Returns zero when no message is left to delete.
    ///
    /// A store with monthly partitions drops a partition as a whole once all its messages may be deleted.
    async fn prune(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize>;

    /// Prunes like [`prune`](MaintenanceStore::prune), except in a store with monthly partitions: it deletes messages of
    /// a month only when the whole month is older than `before`, so that it can drop the partition.
    async fn prune_by_month(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize>;

    /// Deletes expired rows beside messages, at most `limit` of each kind, and returns the number of deleted rows:
    /// idempotency keys, user throttles without recent messages, unmatched receipts and inbound messages received before
    /// `before`, and broadcasts created before `before` that are fanned out and have no messages left.
    async fn delete_expired(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize>;

    /// Stores the hosts and ports of providers for the `notifications` view.
    async fn save_provider_endpoints(&self, providers: Vec<ProviderEndpoint>) -> Result<()>;

    /// Copies the whole store to a file while it is in use. Calls `progress` with the number of pages copied and the
    /// total number.
    async fn backup(&self, file: PathBuf, progress: Progress) -> Result<()>;

    /// Checks that the store can be read and written.
    async fn ping(&self) -> Result<()>;

    /// Returns the size in bytes of the write-ahead log beside the database file. `None` for a store on a server, which
    /// limits its log by itself.
    fn wal_bytes(&self) -> Option<u64> {
        None
    }

    /// Returns the histograms of the store's group commits.
    fn commit_stats(&self) -> Option<&CommitStats>;
}

/// Callback with the progress of a long operation: units done, and units in total.
pub type Progress = Box<dyn Fn(u64, u64) + Send + Sync>;

/// Host and port of a provider, as the `notifications` view shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderEndpoint {
    /// Name of the provider.
    pub name: ConfigName,
    /// Host of the provider, or its kind if it has no host.
    pub host: String,
    /// Port of the provider; 0 if it has none.
    pub port: u16,
}
