//! What a store that groups commits tells of them, for the metrics.
//!
//! Counters only; they are read while they are written and need not agree with each other to the last one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

use crate::metrics;

/// Counters since the store was opened.
#[derive(Debug)]
pub struct CommitStats {
    commits: AtomicU64,
    pieces: AtomicU64,
    pieces_last: AtomicU64,
    pieces_max: AtomicU64,
    micros: AtomicU64,
    sizes: Histogram,
    seconds: Histogram,
}

impl Default for CommitStats {
    fn default() -> Self {
        Self {
            commits: AtomicU64::default(),
            pieces: AtomicU64::default(),
            pieces_last: AtomicU64::default(),
            pieces_max: AtomicU64::default(),
            micros: AtomicU64::default(),
            sizes: metrics::commit_sizes(),
            seconds: metrics::commit_seconds(),
        }
    }
}

impl CommitStats {
    /// Counts a transaction that was committed.
    pub(super) fn note(&self, pieces: usize, took: Duration) {
        self.sizes
            .observe(f64::from(u32::try_from(pieces).unwrap_or(u32::MAX)));
        self.seconds.observe(took.as_secs_f64());
        let pieces = u64::try_from(pieces).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.pieces.fetch_add(pieces, Ordering::Relaxed);
        self.pieces_last.store(pieces, Ordering::Relaxed);
        self.pieces_max.fetch_max(pieces, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many pieces of work there were in each, and how many seconds it took.
    pub fn histograms(&self) -> (Histogram, Histogram) {
        (self.sizes.clone(), self.seconds.clone())
    }

    /// Transactions committed.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Pieces of work in all of them.
    pub fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::Relaxed)
    }

    /// Pieces of work in the last one.
    pub fn pieces_last(&self) -> u64 {
        self.pieces_last.load(Ordering::Relaxed)
    }

    /// Pieces of work in the largest one.
    pub fn pieces_max(&self) -> u64 {
        self.pieces_max.load(Ordering::Relaxed)
    }

    /// Time spent in transactions, from the first piece to the end of the commit, in microseconds.
    pub fn micros(&self) -> u64 {
        self.micros.load(Ordering::Relaxed)
    }
}
