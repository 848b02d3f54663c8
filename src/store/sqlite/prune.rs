//! Deleting what is old and has ended. What the report counts of it moves from the live roll-ups to the kept
//! ones, so that neither `fold` nor a rebuild from nothing comes to other numbers afterwards.

use std::collections::BTreeMap;

use rusqlite::params;

use super::desk::Desk;
use super::rows;
use super::tally;
use crate::clock::Timestamp;
use crate::store::tally::{HOUR_MS, Line, Sums};

static HOUR_LAST: &str = include_str!("../../../sql/sqlite/hour_last.sql");
static MESSAGES: &str = include_str!("../../../sql/sqlite/prune_messages.sql");
static LINES: &str = include_str!("../../../sql/sqlite/prune_lines.sql");
static ADDRESS: &str = include_str!("../../../sql/sqlite/prune_address.sql");
static ADDRESS_KEPT: &str = include_str!("../../../sql/sqlite/prune_address_kept.sql");
static ATTEMPTS_DELETE: &str = include_str!("../../../sql/sqlite/prune_attempts_delete.sql");
static DELIVERIES_DELETE: &str = include_str!("../../../sql/sqlite/prune_deliveries_delete.sql");
static MESSAGE_DELETE: &str = include_str!("../../../sql/sqlite/prune_message_delete.sql");
static NUMBER: &str = include_str!("../../../sql/sqlite/prune_number.sql");
static KEYS: &str = include_str!("../../../sql/sqlite/prune_keys.sql");
static THROTTLES: &str = include_str!("../../../sql/sqlite/prune_throttles.sql");
static OPTING_TEXTS: &str = include_str!("../../../sql/sqlite/prune_opting_texts.sql");
static EVENTS: &str = include_str!("../../../sql/sqlite/prune_events.sql");
static BROADCASTS: &str = include_str!("../../../sql/sqlite/prune_broadcasts.sql");
static BROADCAST_USERS: &str = include_str!("../../../sql/sqlite/prune_broadcast_users.sql");
static BROADCAST_RUNS: &str = include_str!("../../../sql/sqlite/prune_broadcast_runs.sql");
static BROADCAST: &str = include_str!("../../../sql/sqlite/prune_broadcast_delete.sql");
static RECEIPTS: &str = include_str!("../../../sql/sqlite/prune_receipts.sql");

/// What the report counts of an address, by whether it has been counted.
#[derive(Default)]
struct Share {
    all: i64,
    not_counted: i64,
}

/// See [`crate::store::Store::prune`].
pub fn prune(desk: &mut Desk<'_>, before: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let numbers = ended(desk, before, limit)?;
    let (mut live, mut kept) = (Sums::default(), Sums::default());
    let mut addresses = BTreeMap::<String, Share>::new();
    for number in &numbers {
        for line in lines(desk, *number)? {
            let calls = tally::calls(desk, line.id)?;
            line.move_over(&calls, &mut live, &mut kept);
            let not_counted = i64::from(!line.is_counted());
            let share = addresses.entry(line.address).or_default();
            share.all += 1;
            share.not_counted += not_counted;
        }
        delete(desk, *number)?;
    }
    tally::write(&live, desk, "live")?;
    tally::write(&kept, desk, "kept")?;
    for (address, share) in addresses {
        desk.statement(ADDRESS_KEPT)?
            .execute(params![address, share.all])?;
        desk.statement(ADDRESS)?
            .execute(params![address, share.not_counted])?;
    }
    if let Some(number) = numbers.last() {
        desk.statement(NUMBER)?.execute([number])?;
    }
    Ok(numbers.len())
}

/// See [`crate::store::Store::forget`].
pub fn forget(
    desk: &mut Desk<'_>,
    before: Timestamp,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let (now, before) = (now.timestamp_millis(), before.timestamp_millis());
    let mut deleted = 0;
    for (sql, bound) in [
        (KEYS, now),
        (THROTTLES, now.div_euclid(HOUR_MS)),
        (RECEIPTS, before),
        (OPTING_TEXTS, before),
        (EVENTS, before),
    ] {
        deleted += desk.statement(sql)?.execute([bound, rows::limit(limit)])?;
    }
    Ok(deleted + forget_broadcasts(desk, before, limit)?)
}

/// Broadcasts go after the last of their messages.
fn forget_broadcasts(desk: &mut Desk<'_>, before: i64, limit: usize) -> rusqlite::Result<usize> {
    let numbers = desk
        .statement(BROADCASTS)?
        .query_map([before, rows::limit(limit)], |row| row.get::<_, i64>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for number in &numbers {
        for sql in [BROADCAST_USERS, BROADCAST_RUNS, BROADCAST] {
            desk.statement(sql)?.execute([number])?;
        }
    }
    Ok(numbers.len())
}

/// Messages that were accepted before then and of which nothing waits any more, oldest first.
fn ended(desk: &mut Desk<'_>, before: Timestamp, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let before = before.timestamp_millis();
    let last = desk
        .statement(HOUR_LAST)?
        .query_row([before.div_euclid(HOUR_MS)], |row| row.get::<_, Option<i64>>(0))?;
    let Some(last) = last else {
        return Ok(Vec::new());
    };
    desk.statement(MESSAGES)?
        .query_map([last, before, rows::limit(limit)], |row| row.get(0))?
        .collect()
}

fn lines(desk: &mut Desk<'_>, number: i64) -> rusqlite::Result<Vec<Line>> {
    let folded = desk.folded()?;
    desk.statement(LINES)?
        .query_map(rows::range(number), |row| tally::line(row, folded))?
        .collect()
}

fn delete(desk: &mut Desk<'_>, number: i64) -> rusqlite::Result<()> {
    let range = rows::range(number);
    desk.statement(ATTEMPTS_DELETE)?.execute(range)?;
    desk.statement(DELIVERIES_DELETE)?.execute(range)?;
    desk.statement(MESSAGE_DELETE)?.execute([number])?;
    Ok(())
}
