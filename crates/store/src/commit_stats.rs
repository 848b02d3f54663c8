//! Counters of group commits, for the metrics.
//!
//! The counters are read while commits go on, so they may differ from each other by the running commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Bucket bounds of the commit duration in seconds: from a disk with a write cache to a failing disk.
const COMMIT_BOUNDS_SECONDS: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 5.0];

/// Counters since the store was opened.
#[derive(Debug)]
pub struct CommitStats {
    commits: AtomicU64,
    operations: AtomicU64,
    operations_histogram: Histogram,
    seconds_histogram: Histogram,
}

impl Default for CommitStats {
    fn default() -> Self {
        Self {
            commits: AtomicU64::default(),
            operations: AtomicU64::default(),
            // 1, 2, 4, … 1,024 operations in a commit.
            operations_histogram: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            seconds_histogram: Histogram::new(COMMIT_BOUNDS_SECONDS),
        }
    }
}

impl CommitStats {
    /// Counts a committed transaction.
    pub(super) fn record_commit(&self, operations: usize, duration: Duration) {
        self.operations_histogram.observe(f64::from(u32::try_from(operations).unwrap_or(u32::MAX)));
        self.seconds_histogram.observe(duration.as_secs_f64());
        let operations = u64::try_from(operations).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.operations.fetch_add(operations, Ordering::Relaxed);
    }

    /// Returns the histograms of operations per commit and of commit durations in seconds.
    pub fn histograms(&self) -> (Histogram, Histogram) {
        (self.operations_histogram.clone(), self.seconds_histogram.clone())
    }

    /// Returns the number of committed transactions.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Returns the number of operations in all committed transactions.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }
}
