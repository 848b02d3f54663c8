//! What the report counts, read from rows and written to the roll-ups. What is counted and how is
//! [`crate::store::tally`]'s.

use rusqlite::{Row, params};

use super::desk::Desk;
use super::rows;
use crate::domain::delivery::Standing;
use crate::domain::id::DeliveryId;
use crate::store::tally::{Call, HOUR_MS, Line, Share, Standpoint, Sums};

static TALLY: &str = include_str!("../../../sql/sqlite/fold_tally.sql");
static ATTEMPTS: &str = include_str!("../../../sql/sqlite/fold_attempts.sql");

/// Reads the columns that every statement of the report begins with. What lies beyond `folded` was never
/// counted, whatever its columns say.
pub fn line(row: &Row<'_>, folded: i64) -> rusqlite::Result<Line> {
    let id = rows::delivery_id(row, 0)?;
    let counted = if id.0 <= folded {
        Some(standpoint(row, 7)?)
    } else {
        None
    };
    let attempts_counted = if counted.is_some() { row.get(11)? } else { 0 };
    Ok(Line {
        id,
        address: row.get(1)?,
        share: Share {
            first: id.is_first(),
            hour: row.get::<_, i64>(2)?.div_euclid(HOUR_MS),
            now: standpoint(row, 3)?,
            counted,
        },
        attempts_counted,
    })
}

/// State, failure, provider and whether it was opened, from this column on.
fn standpoint(row: &Row<'_>, from: usize) -> rusqlite::Result<Standpoint> {
    Ok(Standpoint {
        state: rows::word(row, from, Standing::from_word)?,
        failure: row.get(from + 1)?,
        provider: row.get(from + 2)?,
        opened: row.get(from + 3)?,
    })
}

/// The calls made for a delivery.
pub fn calls(desk: &mut Desk<'_>, id: DeliveryId) -> rusqlite::Result<Vec<Call>> {
    let found = desk.statement(ATTEMPTS)?.query_map([id.0], |row| {
        Ok(Call {
            place: row.get(0)?,
            provider: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            outcome: row.get(2)?,
            duration_ms: rows::count(row, 3)?,
        })
    })?;
    found.collect()
}

/// Adds the sums to the roll-ups of that origin.
pub fn write(sums: &Sums, desk: &mut Desk<'_>, origin: &str) -> rusqlite::Result<()> {
    for (ledger, line, entry, count) in sums.changes() {
        desk.statement(TALLY)?
            .execute(params![ledger, line, entry, origin, count])?;
    }
    Ok(())
}
