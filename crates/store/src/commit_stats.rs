//! What a store that groups commits tells of them, for the metrics.
//!
//! Counters only; they are read while they are written and need not agree with each other to the last one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Bucket bounds of the commit duration in seconds: from a disk with a write cache to a disk in trouble.
const COMMIT_BOUNDS_SECONDS: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 5.0,
];

/// Counters since the store was opened.
#[derive(Debug)]
pub struct CommitStats {
    commits: AtomicU64,
    operations: AtomicU64,
    operations_last: AtomicU64,
    operations_max: AtomicU64,
    duration_micros: AtomicU64,
    operations_histogram: Histogram,
    seconds_histogram: Histogram,
}

impl Default for CommitStats {
    fn default() -> Self {
        Self {
            commits: AtomicU64::default(),
            operations: AtomicU64::default(),
            operations_last: AtomicU64::default(),
            operations_max: AtomicU64::default(),
            duration_micros: AtomicU64::default(),
            // 1, 2, 4, … 1,024 writes in a commit.
            operations_histogram: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            seconds_histogram: Histogram::new(COMMIT_BOUNDS_SECONDS),
        }
    }
}

impl CommitStats {
    /// Counts a transaction that was committed.
    pub(super) fn record_commit(&self, pieces: usize, took: Duration) {
        self.operations_histogram
            .observe(f64::from(u32::try_from(pieces).unwrap_or(u32::MAX)));
        self.seconds_histogram.observe(took.as_secs_f64());
        let pieces = u64::try_from(pieces).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.operations.fetch_add(pieces, Ordering::Relaxed);
        self.operations_last.store(pieces, Ordering::Relaxed);
        self.operations_max.fetch_max(pieces, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.duration_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many pieces of work there were in each, and how many seconds it took.
    pub fn histograms(&self) -> (Histogram, Histogram) {
        (self.operations_histogram.clone(), self.seconds_histogram.clone())
    }

    /// Transactions committed.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Pieces of work in all of them.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Pieces of work in the last one.
    pub fn operations_last(&self) -> u64 {
        self.operations_last.load(Ordering::Relaxed)
    }

    /// Pieces of work in the largest one.
    pub fn operations_max(&self) -> u64 {
        self.operations_max.load(Ordering::Relaxed)
    }

    /// Time spent in transactions, from the first piece to the end of the commit, in microseconds.
    pub fn duration_micros(&self) -> u64 {
        self.duration_micros.load(Ordering::Relaxed)
    }
}
