//! Histograms of group commits, for the metrics.

use std::time::Duration;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Bucket bounds of the commit duration in seconds: from a disk with a write cache to a failing disk.
const COMMIT_BOUNDS_SECONDS: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 5.0];

/// Histograms of the commits since the store was opened.
#[derive(Debug)]
pub struct CommitStats {
    operations: Histogram,
    seconds: Histogram,
}

impl Default for CommitStats {
    fn default() -> Self {
        // 1, 2, 4, … 1,024 operations in a commit.
        let operations = Histogram::new(exponential_buckets(1.0, 2.0, 11));
        Self { operations, seconds: Histogram::new(COMMIT_BOUNDS_SECONDS) }
    }
}

impl CommitStats {
    /// Counts a committed transaction.
    pub(super) fn record_commit(&self, operation_count: usize, duration: Duration) {
        self.operations.observe(f64::from(u32::try_from(operation_count).unwrap_or(u32::MAX)));
        self.seconds.observe(duration.as_secs_f64());
    }

    /// Returns the histograms of operations per commit and of commit durations in seconds.
    pub fn histograms(&self) -> (Histogram, Histogram) {
        (self.operations.clone(), self.seconds.clone())
    }
}
