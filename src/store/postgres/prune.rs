//! Deleting what is old and has ended. What the report counts of it moves from the live roll-ups to the kept
//! ones, so that neither `fold` nor a rebuild from nothing comes to other numbers afterwards.

use std::collections::{BTreeMap, HashSet};

use super::fault::Trouble;
use super::link::{Desk, bind};
use super::look;
use super::months;
use super::report;
use super::rows;
use super::tally::{self, Calls};
use crate::clock::Timestamp;
use crate::domain::delivery::Standing;
use crate::store::tally::{HOUR_MS, Sums};

static MESSAGES: &str = include_str!("../../../sql/postgres/prune_messages.sql");
static LINES: &str = include_str!("../../../sql/postgres/prune_lines.sql");
static ADDRESS: &str = include_str!("../../../sql/postgres/prune_address.sql");
static ADDRESS_KEPT: &str = include_str!("../../../sql/postgres/prune_address_kept.sql");
static LEASES_DELETE: &str = include_str!("../../../sql/postgres/prune_leases_delete.sql");
static ATTEMPTS_DELETE: &str = include_str!("../../../sql/postgres/prune_attempts_delete.sql");
static DELIVERIES_DELETE: &str = include_str!("../../../sql/postgres/prune_deliveries_delete.sql");
static MESSAGE_DELETE: &str = include_str!("../../../sql/postgres/prune_message_delete.sql");
static KEYS: &str = include_str!("../../../sql/postgres/prune_keys.sql");
static THROTTLES: &str = include_str!("../../../sql/postgres/prune_throttles.sql");
static OPTING_TEXTS: &str = include_str!("../../../sql/postgres/prune_opting_texts.sql");
static EVENTS: &str = include_str!("../../../sql/postgres/prune_events.sql");
static BROADCASTS: &str = include_str!("../../../sql/postgres/prune_broadcasts.sql");
static BROADCAST_USERS: &str = include_str!("../../../sql/postgres/prune_broadcast_users.sql");
static BROADCAST_RUNS: &str = include_str!("../../../sql/postgres/prune_broadcast_runs.sql");
static BROADCAST: &str = include_str!("../../../sql/postgres/prune_broadcast_delete.sql");
static RECEIPTS: &str = include_str!("../../../sql/postgres/prune_receipts.sql");

/// What the report counts of an address, by whether it has been counted.
#[derive(Default)]
struct Share {
    all: i64,
    not_counted: i64,
}

/// Out of which months single messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Months {
    /// Every one.
    All,
    /// Those that are old to the last message, and could go as a whole if nothing of them waited.
    Old,
}

/// See [`crate::store::Store::prune`].
pub async fn prune(desk: &Desk, before: Timestamp, months: Months, limit: usize) -> Result<usize, Trouble> {
    let folded = report::folded(desk).await?;
    let numbers = ended(desk, before, months, limit).await?;
    if numbers.is_empty() {
        return Ok(0);
    }
    delete(desk, folded, numbers).await
}

/// See [`crate::store::Store::forget`].
pub async fn forget(desk: &Desk, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize, Trouble> {
    let (now, before) = (now.timestamp_millis(), before.timestamp_millis());
    let mut deleted = 0;
    for (sql, bound) in [
        (KEYS, now),
        (THROTTLES, now.div_euclid(HOUR_MS)),
        (RECEIPTS, before),
        (OPTING_TEXTS, before),
        (EVENTS, before),
    ] {
        deleted += desk.run(sql, bind![bound, rows::limit(limit)]).await?;
    }
    deleted += forget_broadcasts(desk, before, limit).await?;
    Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
}

/// Broadcasts go after the last of their messages.
async fn forget_broadcasts(desk: &Desk, before: i64, limit: usize) -> Result<u64, Trouble> {
    let numbers = desk.rows(BROADCASTS, bind![before, rows::limit(limit)]).await?;
    let numbers = numbers.iter().map(|row| rows::get::<i64>(row, 0));
    let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    if numbers.is_empty() {
        return Ok(0);
    }
    desk.run(BROADCAST_USERS, bind![numbers]).await?;
    desk.run(BROADCAST_RUNS, bind![numbers]).await?;
    desk.run(BROADCAST, bind![numbers]).await
}

/// Deletes these messages, which are in order, but for those of which something waits again; how many.
async fn delete(desk: &Desk, folded: i64, mut numbers: Vec<i64>) -> Result<usize, Trouble> {
    let first = numbers.first().map_or(0, |number| rows::range(*number).0);
    let last = numbers.last().map_or(0, |number| rows::range(*number).1);
    let lines = desk.rows(LINES, bind![numbers, first, last]).await?;
    let lines = lines.iter().map(|row| tally::line(row, folded));
    let mut lines = lines.collect::<Result<Vec<_>, _>>()?;
    // Somebody may have sent it again between the two looks.
    let revived = lines
        .iter()
        .filter(|line| line.share.now.state == Standing::Waiting);
    let revived = revived
        .map(|line| line.id.message_number())
        .collect::<HashSet<_>>();
    numbers.retain(|number| !revived.contains(number));
    lines.retain(|line| !revived.contains(&line.id.message_number()));
    let calls = Calls::of(desk, &lines).await?;
    let (mut live, mut kept) = (Sums::default(), Sums::default());
    let mut addresses = BTreeMap::<&str, Share>::new();
    for line in &lines {
        line.move_over(calls.of_delivery(line.id), &mut live, &mut kept);
        let share = addresses.entry(&line.address).or_default();
        share.all += 1;
        share.not_counted += i64::from(!line.is_counted());
    }
    tally::write(&live, desk, "live").await?;
    tally::write(&kept, desk, "kept").await?;
    let names = addresses.keys().copied().collect::<Vec<_>>();
    let all = addresses.values().map(|share| share.all).collect::<Vec<_>>();
    let not_counted = addresses.values().map(|share| share.not_counted);
    let not_counted = not_counted.collect::<Vec<_>>();
    desk.run(ADDRESS_KEPT, bind![names, all]).await?;
    desk.run(ADDRESS, bind![names, not_counted]).await?;
    let ids = lines.iter().map(|line| line.id.0).collect::<Vec<_>>();
    desk.run(LEASES_DELETE, bind![ids]).await?;
    desk.run(ATTEMPTS_DELETE, bind![ids]).await?;
    desk.run(DELIVERIES_DELETE, bind![ids]).await?;
    desk.run(MESSAGE_DELETE, bind![numbers]).await?;
    Ok(numbers.len())
}

/// Messages that were accepted before then and of which nothing waits any more, oldest first and out of one month.
/// Months that can go as a whole are left out.
async fn ended(desk: &Desk, before: Timestamp, months: Months, limit: usize) -> Result<Vec<i64>, Trouble> {
    let whole = months::spent(desk, before).await?;
    let candidates = match months {
        Months::All => months::all(desk).await?,
        Months::Old => months::old(desk, before).await?,
    };
    let before = before.timestamp_millis();
    // Numbers and times of hosts may differ a little in their order: what is late goes with the next hour.
    let later = look::first_of_hour(desk, before.div_euclid(HOUR_MS) + 2).await?;
    let bound = later.unwrap_or(i64::MAX);
    for month in candidates {
        let goes_whole = whole.iter().any(|one| one.place == month.place);
        if month.retired || goes_whole || month.first() >= bound {
            continue;
        }
        let last = bound.min(month.next());
        let found = desk
            .rows(MESSAGES, bind![month.first(), last, before, rows::limit(limit)])
            .await?;
        if !found.is_empty() {
            return found.iter().map(|row| rows::get(row, 0)).collect();
        }
    }
    Ok(Vec::new())
}
