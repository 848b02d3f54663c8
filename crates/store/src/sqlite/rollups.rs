//! Attempts and rollup changes of the report in SQLite. The arithmetic is in [`crate::rollups`].

use rusqlite::params;

use super::write_transaction::WriteTransaction;
use crate::rollups::{CountedAttempt, RollupChanges};
use crate::rows::report::decode_counted_attempt;
use postrider_core::id::DeliveryId;

static ADD_TO_ROLLUP: &str = sql!("sqlite/report/add_rollup");
static ATTEMPTS: &str = sql!("sqlite/report/select_attempts");

/// Loads the attempts of a delivery.
pub fn load_counted_attempts(
    transaction: &mut WriteTransaction<'_>,
    id: DeliveryId,
) -> rusqlite::Result<Vec<CountedAttempt>> {
    transaction.statement(ATTEMPTS)?.query_map([id.0], |row| decode_counted_attempt(row))?.collect()
}

/// Adds changes to the rollups of an origin: `live` or `pruned`.
pub fn save_changes(
    changes: &RollupChanges,
    transaction: &mut WriteTransaction<'_>,
    origin: &str,
) -> rusqlite::Result<()> {
    for (metric, group, entry, count) in changes.changes() {
        transaction.statement(ADD_TO_ROLLUP)?.execute(params![metric, group, entry, origin, count])?;
    }
    Ok(())
}
