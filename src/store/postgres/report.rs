//! The report's roll-ups: kept up with what changed, forgotten, read.
//!
//! Deliveries up to the mark `folded` have been counted; those that changed since bear the mark `recount`;
//! whatever lies beyond `folded` was never counted. So a new delivery costs the report nothing until `fold`.

use std::collections::BTreeMap;

use super::accept::{HOUR_MS, NUMBERS_LOCK};
use super::fault::Trouble;
use super::link::{Desk, Link, bind};
use super::rows;
use super::tally::{
    Attempts, CARRIED, DURATIONS, HOURS, Line, MESSAGES, OPENED, OUTCOMES, STATES, Sums, hour_line,
};
use crate::clock::{Timestamp, from_millis};
use crate::domain::attempt::Outcome;
use crate::domain::delivery::{Failure, Standing};
use crate::domain::report::{HourLine, ProviderLine, Report, TopLine, Totals};
use crate::store::Snapshot;

static CHANGED: &str = include_str!("../../../sql/postgres/fold_changed.sql");
static NEW: &str = include_str!("../../../sql/postgres/fold_new.sql");
static COUNTED: &str = include_str!("../../../sql/postgres/fold_counted.sql");
static LOCK: &str = include_str!("../../../sql/postgres/fold_lock.sql");
static HORIZON: &str = include_str!("../../../sql/postgres/fold_horizon.sql");
static MARK: &str = include_str!("../../../sql/postgres/fold_mark.sql");
static MARK_SET: &str = include_str!("../../../sql/postgres/fold_mark_set.sql");
static ADDRESS: &str = include_str!("../../../sql/postgres/fold_address.sql");
static UNFOLD_TALLIES: &str = include_str!("../../../sql/postgres/unfold_tallies.sql");
static UNFOLD_ADDRESSES: &str = include_str!("../../../sql/postgres/unfold_addresses.sql");
static LEDGER: &str = include_str!("../../../sql/postgres/report_ledger.sql");
static TOP: &str = include_str!("../../../sql/postgres/report_top.sql");
static SNAPSHOT: &str = include_str!("../../../sql/postgres/snapshot.sql");
static SNAPSHOT_KEEP: &str = include_str!("../../../sql/postgres/snapshot_keep.sql");
static SNAPSHOT_DROP: &str = include_str!("../../../sql/postgres/snapshot_drop.sql");

/// How many hours the report shows, the one of its own time included.
const HOURS_SHOWN: i64 = 48;

/// Up to which delivery nothing can come any more. A transaction of its own, so that accepts wait for it only
/// as long as it takes to read a number.
pub async fn horizon(link: &Link) -> Result<i64, Trouble> {
    let desk = link.write().await?;
    let number = last_number(&desk).await;
    let number = desk.end(number).await?;
    Ok(rows::range(number).1)
}

async fn last_number(desk: &Desk) -> Result<i64, Trouble> {
    desk.rows(LOCK, bind![NUMBERS_LOCK]).await?;
    rows::get(&desk.one(HORIZON, &[]).await?, 0)
}

/// Up to which delivery the report has counted. Nobody else counts until the transaction ends.
pub async fn folded(desk: &Desk) -> Result<i64, Trouble> {
    rows::get(&desk.one(MARK, &[]).await?, 0)
}

/// See [`crate::store::Store::fold`].
pub async fn fold(desk: &Desk, horizon: i64, limit: usize) -> Result<usize, Trouble> {
    let folded = folded(desk).await?;
    let mut found = desk.rows(CHANGED, bind![folded, rows::limit(limit)]).await?;
    if found.len() < limit {
        let left = rows::limit(limit - found.len());
        found.extend(desk.rows(NEW, bind![folded, left, horizon]).await?);
    }
    let lines = found.iter().map(|row| Line::read(row, folded));
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    if lines.is_empty() {
        return Ok(0);
    }
    let attempts = Attempts::of(desk, &lines).await?;
    let mut sums = Sums::default();
    let mut addresses = BTreeMap::<&str, i64>::new();
    let mut counted = Vec::with_capacity(lines.len());
    for line in &lines {
        counted.push(line.recount(&attempts, &mut sums));
        if !line.is_counted() {
            *addresses.entry(&line.address).or_default() += 1;
        }
    }
    let ids = lines.iter().map(|line| line.id.0).collect::<Vec<_>>();
    desk.run(COUNTED, bind![ids, counted]).await?;
    sums.write(desk, "live").await?;
    let (names, counts): (Vec<&str>, Vec<i64>) = addresses.into_iter().unzip();
    desk.run(ADDRESS, bind![names, counts]).await?;
    let new = lines.iter().filter(|line| !line.is_counted());
    if let Some(mark) = new.map(|line| line.id.0).max() {
        desk.run(MARK_SET, bind![mark]).await?;
    }
    Ok(lines.len())
}

/// See [`crate::store::Store::unfold`].
pub async fn unfold(desk: &Desk) -> Result<(), Trouble> {
    folded(desk).await?;
    desk.run(UNFOLD_TALLIES, &[]).await?;
    desk.run(UNFOLD_ADDRESSES, &[]).await?;
    desk.run(MARK_SET, bind![0_i64]).await?;
    Ok(())
}

/// See [`crate::store::Store::report`].
pub async fn report(desk: &Desk, as_of: Timestamp) -> Result<Report, Trouble> {
    Ok(Report {
        as_of,
        messages: ledger(desk, MESSAGES, "")
            .await?
            .first()
            .map_or(0, |entry| entry.count),
        totals: totals(desk).await?,
        providers: providers(desk).await?,
        hours: hours(desk, as_of).await?,
        top: top(desk).await?,
    })
}

/// What a roll-up says of one entry.
struct Entry {
    line: String,
    entry: String,
    count: u64,
}

async fn ledger(desk: &Desk, ledger: &str, from_line: &str) -> Result<Vec<Entry>, Trouble> {
    let found = desk.rows(LEDGER, bind![ledger, from_line]).await?;
    let read = |row| {
        Ok(Entry {
            line: rows::get(row, 0)?,
            entry: rows::get(row, 1)?,
            count: rows::count(row, 2)?,
        })
    };
    found.iter().map(read).collect()
}

async fn totals(desk: &Desk) -> Result<Totals, Trouble> {
    let states = ledger(desk, STATES, "").await?;
    let sum = |standing: Standing| {
        let of_standing = states.iter().filter(|entry| entry.line == standing.word());
        of_standing.map(|entry| entry.count).sum::<u64>()
    };
    let failed = |failure: Failure| {
        let found = states.iter().find(|entry| entry.entry == failure.word())?;
        Some((failure.word().to_owned(), found.count))
    };
    let outcomes = ledger(desk, OUTCOMES, "").await?;
    let unknown = outcomes.iter().filter(|entry| entry.entry == "unknown");
    Ok(Totals {
        waiting: sum(Standing::Waiting),
        sent: sum(Standing::Sent),
        delivered: sum(Standing::Delivered),
        failed: Failure::ALL.into_iter().filter_map(failed).collect(),
        unknown: unknown.map(|entry| entry.count).sum(),
        opened: ledger(desk, OPENED, "")
            .await?
            .first()
            .map_or(0, |entry| entry.count),
    })
}

/// Where in a provider's line the count of an entry belongs; none for an entry this version does not know.
type Place = for<'l> fn(&'l mut ProviderLine, &str) -> Option<&'l mut u64>;

/// A line for each provider; attempts of which nobody knows whom they asked belong to none.
async fn providers(desk: &Desk) -> Result<Vec<ProviderLine>, Trouble> {
    let mut lines = BTreeMap::<String, ProviderLine>::new();
    let mut fill = |entries: Vec<Entry>, put: Place| {
        for found in entries {
            let line = lines.entry(found.line).or_default();
            if let Some(place) = put(line, &found.entry) {
                *place = found.count;
            }
        }
    };
    fill(ledger(desk, OUTCOMES, "").await?, |line, entry| {
        let place = Outcome::WORDS.iter().position(|word| *word == entry)?;
        line.outcomes.get_mut(place)
    });
    fill(ledger(desk, DURATIONS, "").await?, |line, entry| {
        line.durations.get_mut(entry.parse::<usize>().ok()?)
    });
    fill(ledger(desk, CARRIED, "").await?, |line, entry| match entry {
        "sent" => Some(&mut line.sent),
        "delivered" => Some(&mut line.delivered),
        "bounced" => Some(&mut line.bounced),
        _ => None,
    });
    lines.remove("");
    let named = lines
        .into_iter()
        .map(|(name, line)| ProviderLine { name, ..line });
    Ok(named.collect())
}

async fn hours(desk: &Desk, as_of: Timestamp) -> Result<Vec<HourLine>, Trouble> {
    let newest = as_of.timestamp_millis().div_euclid(HOUR_MS);
    let mut hours = BTreeMap::<String, HourLine>::new();
    for found in ledger(desk, HOURS, &hour_line(newest - HOURS_SHOWN + 1)).await? {
        let since_1970 = found.line.parse::<i64>().unwrap_or_default();
        let line = hours.entry(found.line).or_default();
        line.hour = from_millis(since_1970 * HOUR_MS);
        match found.entry.as_str() {
            "accepted" => line.accepted = found.count,
            "sent" => line.sent = found.count,
            _ => line.failed = found.count,
        }
    }
    Ok(hours.into_values().collect())
}

async fn top(desk: &Desk) -> Result<Vec<TopLine>, Trouble> {
    let found = desk.rows(TOP, &[]).await?;
    let read = |row| {
        Ok(TopLine {
            address: rows::get(row, 0)?,
            count: rows::count(row, 1)?,
        })
    };
    found.iter().map(read).collect()
}

/// See [`crate::store::Store::keep_snapshot`].
pub async fn keep_snapshot(desk: &Desk, snapshot: &Snapshot) -> Result<(), Trouble> {
    let as_of = snapshot.as_of.timestamp_millis();
    desk.run(SNAPSHOT_KEEP, bind![snapshot.generation, as_of, snapshot.content])
        .await?;
    desk.run(SNAPSHOT_DROP, &[]).await?;
    Ok(())
}

/// See [`crate::store::Store::snapshot`].
pub async fn snapshot(desk: &Desk) -> Result<Option<Snapshot>, Trouble> {
    let Some(row) = desk.row(SNAPSHOT, &[]).await? else {
        return Ok(None);
    };
    Ok(Some(Snapshot {
        generation: rows::get(&row, 0)?,
        as_of: rows::time(&row, 1)?,
        content: rows::get(&row, 2)?,
    }))
}
