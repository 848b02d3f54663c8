//! The advisory locks of the database. All of them end with the transaction that took them.
//!
//! A lock number is part of the protocol between processes of different versions and never changes.

use super::errors::PgError;
use super::pool::{PgTransaction, bind};

static LOCK_EXCLUSIVE: &str = sql!("postgres/coordination/lock_exclusive");
static LOCK_SHARED: &str = sql!("postgres/coordination/lock_shared");

/// An advisory lock. The values are "Post" in ASCII, followed by a number.
#[derive(Clone, Copy, Debug)]
#[repr(i64)]
pub enum AdvisoryLock {
    /// Held by a process that changes the schema: of several processes that start at once, one migrates.
    Schema = 0x506F_7374_0001,
    /// Shared by transactions that accept messages. A transaction that takes it exclusively waits until all allocated
    /// message numbers are committed or rolled back.
    MessageNumbers = 0x506F_7374_0002,
    /// Shared by transactions that record rounds. A transaction takes it exclusively before it stores an unmatched
    /// receipt. So either the record sees the receipt, or the receipt sees the record.
    References = 0x506F_7374_0003,
    /// Held by transactions that number users or broadcasts: numbers have no gaps and become visible in their order.
    UserNumbers = 0x506F_7374_0004,
    /// Held by transactions that write provider health, a provider control, or the first row of a rate limiter, because
    /// a row that does not exist yet cannot be locked.
    Coordination = 0x506F_7374_0010,
}

/// Takes a lock and waits for every other transaction that has it.
pub async fn lock_exclusive(transaction: &PgTransaction, lock: AdvisoryLock) -> Result<(), PgError> {
    transaction.execute(LOCK_EXCLUSIVE, bind![lock as i64]).await
}

/// Takes a lock in shared mode: other transactions may hold it in shared mode at the same time.
pub async fn lock_shared(transaction: &PgTransaction, lock: AdvisoryLock) -> Result<(), PgError> {
    transaction.execute(LOCK_SHARED, bind![lock as i64]).await
}
