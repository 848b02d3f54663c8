//! The report: keeping its rollups up to date, and its rendered snapshots.

use async_trait::async_trait;

use postrider_core::{clock::Timestamp, error::Result, report::Report};

/// Counts changes into rollups and builds the report from them.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Counts at most `limit` changed deliveries into the rollups and returns the number of counted deliveries. Zero
    /// means that the rollups are up to date.
    async fn apply_changes(&self, limit: usize) -> Result<usize>;

    /// Clears the rollups of all deliveries that still exist, so that later calls of
    /// [`apply_changes`](ReportStore::apply_changes) build them again.
    async fn begin_rebuild(&self) -> Result<()>;

    /// Builds the report from the rollups, with `as_of` as its time.
    async fn report(&self, as_of: Timestamp) -> Result<Report>;

    /// Stores a rendered snapshot of the report as the newest snapshot.
    async fn save_snapshot(&self, snapshot: ReportSnapshot) -> Result<()>;

    /// Returns the newest snapshot.
    async fn snapshot(&self) -> Result<Option<ReportSnapshot>>;
}

/// A rendered report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSnapshot {
    /// Number of the snapshot, greater than the number of every earlier snapshot.
    pub generation: i64,
    /// Time of the report.
    pub as_of: Timestamp,
    /// The rendered report, in the format of the report job.
    pub content: Vec<u8>,
}
