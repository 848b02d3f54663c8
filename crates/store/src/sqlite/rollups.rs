//! What the report counts, read from rows and written to the roll-ups. What is counted and how is
//! [`crate::tally`]'s.

use rusqlite::{Row, params};

use super::rows;
use super::write_transaction::WriteTransaction;
use crate::rollups::{
    CountedAttempt, CountedState, DeliveryCounts, HOUR_MS, ReportedDelivery, RollupChanges,
};
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::id::DeliveryId;

static ADD_TO_ROLLUP: &str = include_str!("../../../../sql/sqlite/report/add_rollup.sql");
static ATTEMPTS: &str = include_str!("../../../../sql/sqlite/report/select_attempts.sql");

/// Reads the columns that every statement of the report begins with. What lies beyond `folded` was never
/// counted, whatever its columns say.
pub fn decode_reported_delivery(row: &Row<'_>, folded: i64) -> rusqlite::Result<ReportedDelivery> {
    let id = rows::delivery_id(row, 0)?;
    let counted = if id.0 <= folded {
        Some(decode_counted_state(row, 7)?)
    } else {
        None
    };
    let attempts_counted = if counted.is_some() { row.get(11)? } else { 0 };
    Ok(ReportedDelivery {
        id,
        address: row.get(1)?,
        counts: DeliveryCounts {
            is_first: id.is_first(),
            hour: row.get::<_, i64>(2)?.div_euclid(HOUR_MS),
            current: decode_counted_state(row, 3)?,
            counted,
        },
        attempts_counted,
    })
}

/// State, failure, provider and whether it was opened, from this column on.
fn decode_counted_state(row: &Row<'_>, from: usize) -> rusqlite::Result<CountedState> {
    Ok(CountedState {
        state: rows::decode_word(row, from, DeliveryStateKind::parse)?,
        failure: row.get(from + 1)?,
        provider: row.get(from + 2)?,
        is_opened: row.get(from + 3)?,
    })
}

/// The calls made for a delivery.
pub fn load_counted_attempts(
    desk: &mut WriteTransaction<'_>,
    id: DeliveryId,
) -> rusqlite::Result<Vec<CountedAttempt>> {
    let found = desk.statement(ATTEMPTS)?.query_map([id.0], |row| {
        Ok(CountedAttempt {
            sequence: row.get(0)?,
            provider: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            outcome: row.get(2)?,
            duration_ms: rows::decode_count(row, 3)?,
        })
    })?;
    found.collect()
}

/// Adds the sums to the roll-ups of that origin.
pub fn save_changes(
    sums: &RollupChanges,
    desk: &mut WriteTransaction<'_>,
    origin: &str,
) -> rusqlite::Result<()> {
    for (ledger, line, entry, count) in sums.changes() {
        desk.statement(ADD_TO_ROLLUP)?
            .execute(params![ledger, line, entry, origin, count])?;
    }
    Ok(())
}
