//! A store as a move uses it: tables of plain values in transactions.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::value::{CopyRow, CopyValue};
use super::{statements::CopyStatements, table::CopyTable};
use postrider_core::clock;
use postrider_core::error::{ErrorKind, Result};

/// Interval at which open rounds are counted, and at which a transaction on locked tables is tried again.
pub const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Maximum time for which a transaction on locked tables is tried again.
pub const LOCK_RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// One of the two stores of a move. Most statements come from [`CopyStatements`]. A method exists only for an operation
/// that needs code of each backend to be fast.
#[async_trait]
pub trait TableStore: Send {
    /// Returns the statements of the backend.
    fn statements(&self) -> &'static CopyStatements;

    /// Returns the rows of a query. The query runs in the current transaction; if there is none, in its own.
    async fn select(&mut self, sql: &str, values: &[CopyValue]) -> Result<Vec<CopyRow>>;

    /// Returns the rows with these keys that exist.
    async fn select_by_keys(&mut self, table: &CopyTable, keys: &[CopyRow]) -> Result<Vec<CopyRow>>;

    /// Begins a write transaction. Only one is open at a time.
    async fn begin(&mut self) -> Result<()>;

    /// Runs a statement in the transaction and returns the number of changed rows.
    async fn execute(&mut self, sql: &str, values: &[CopyValue]) -> Result<u64>;

    /// Runs statements without parameters in the transaction.
    async fn execute_script(&mut self, sql: &str) -> Result<()>;

    /// Inserts rows in the transaction, or replaces those with the same keys.
    async fn upsert_rows(&mut self, table: &CopyTable, rows: &[CopyRow]) -> Result<()>;

    /// Deletes the rows with these keys in the transaction.
    async fn delete_rows(&mut self, table: &CopyTable, keys: &[CopyRow]) -> Result<()>;

    /// Creates the partitions for new messages, in the transaction, after the last message number was set.
    async fn create_partitions(&mut self) -> Result<()>;

    /// Commits the transaction.
    async fn commit(&mut self) -> Result<()>;

    /// Rolls the transaction back.
    async fn rollback(&mut self);
}

/// Commits the transaction if the outcome is `Ok`, and rolls it back otherwise.
pub async fn finish_transaction<T>(store: &mut dyn TableStore, outcome: Result<T>) -> Result<T> {
    match outcome {
        Ok(output) => store.commit().await.map(|()| output),
        Err(error) => {
            store.rollback().await;
            Err(error)
        }
    }
}

/// Runs a transaction that locks tables. Repeats it while other processes hold locks on the tables, at most for
/// [`LOCK_RETRY_TIMEOUT`].
pub async fn retry_while_locked<T>(mut transaction: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        match transaction().await {
            Err(error)
                if error.kind() == ErrorKind::Unavailable && started.elapsed() < LOCK_RETRY_TIMEOUT =>
            {
                log::debug!("cannot lock the tables, trying again: error={}", error.chain());
                clock::sleep(POLL_INTERVAL).await;
            }
            outcome => return outcome,
        }
    }
}
