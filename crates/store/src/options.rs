//! Options for opening a store.

use std::time::Duration;

/// Default time that a store waits for a lock of another process.
pub const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum duration of a migration that an operator starts on a server.
pub const MIGRATION_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Default maximum number of connections of a process to a server.
pub const DEFAULT_CONNECTIONS_MAX: usize = 16;

/// Location of a store, with limits of its connections and locks.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions<'a> {
    /// URL of the store.
    pub url: &'a str,
    /// URL of a replica for reads that may be seconds old.
    pub replica_url: Option<&'a str>,
    /// Maximum number of connections to each server.
    pub connections_max: usize,
    /// Maximum time to wait for a lock of another process.
    pub lock_timeout: Duration,
}

impl<'a> StoreOptions<'a> {
    /// Returns options without a replica.
    pub fn new(url: &'a str, lock_timeout: Duration) -> Self {
        Self { url, replica_url: None, connections_max: DEFAULT_CONNECTIONS_MAX, lock_timeout }
    }
}
