//! Deleting a month as a whole: out of the tables first, which takes an instant, then its counts to the kept roll-ups,
//! then its files. What the report counts of it stays counted at every moment.
//!
//! Never deletes row by row, and never waits long for the tables: whoever comes later would wait behind it.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::accept::NUMBERS_LOCK;
use super::fault::Trouble;
use super::link::{Desk, bind};
use super::months::{self, Month, script};
use super::report;
use super::rows;
use super::tally;
use crate::clock::Timestamp;
use crate::store::tally::{Call, Share, Sums};

static PATIENCE: &str = include_str!("../../../sql/postgres/patience.sql");
static NUMBERS_ALONE: &str = include_str!("../../../sql/postgres/fold_lock.sql");
static LOCK: &str = include_str!("../../../sql/postgres/retire_lock.sql");
static DETACH: &str = include_str!("../../../sql/postgres/retire_detach.sql");
static LINES: &str = include_str!("../../../sql/postgres/retire_lines.sql");
static ATTEMPTS: &str = include_str!("../../../sql/postgres/retire_attempts.sql");
static ADDRESS: &str = include_str!("../../../sql/postgres/retire_address.sql");
static ADDRESS_KEPT: &str = include_str!("../../../sql/postgres/retire_address_kept.sql");
static DROP: &str = include_str!("../../../sql/postgres/retire_drop.sql");

/// Takes one month that is spent out of the tables; whether there was one and it could be had. When the tables are in
/// use all the time, it stays for the next prune.
pub async fn retire(desk: &Desk, before: Timestamp) -> Result<bool, Trouble> {
    let Some(month) = months::spent(desk, before).await?.into_iter().next() else {
        return Ok(false);
    };
    match take_out(desk, &month).await {
        Err(trouble) if trouble.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            // The server has given the transaction up: what follows undoes it, whatever it is called.
            log::warn!("a month that could be deleted stays for now: its tables are in use");
            Ok(false)
        }
        taken => taken,
    }
}

async fn take_out(desk: &Desk, month: &Month) -> Result<bool, Trouble> {
    desk.script(PATIENCE).await?;
    desk.rows(NUMBERS_ALONE, bind![NUMBERS_LOCK]).await?;
    desk.script(&script(LOCK, month.place)).await?;
    // Another host may have taken it, or an operator sent something of it again, since the look.
    let all = months::all(desk).await?;
    let is_there = |other: &Month| other.place == month.place && !other.retired;
    if !all.iter().any(is_there) || months::waits(desk, month).await? {
        return Ok(false);
    }
    desk.script(&script(DETACH, month.place)).await?;
    Ok(true)
}

/// Counts the months that were taken out among what is kept, and deletes them; how many messages they held.
pub async fn settle(desk: &Desk) -> Result<usize, Trouble> {
    if !months::all(desk).await?.iter().any(|month| month.retired) {
        return Ok(0);
    }
    let folded = report::folded(desk).await?;
    let mut messages = 0;
    for month in months::all(desk).await? {
        if month.retired {
            messages += count(desk, month.place, folded).await?;
            desk.script(&script(DROP, month.place)).await?;
        }
    }
    Ok(usize::try_from(messages).unwrap_or(usize::MAX))
}

async fn count(desk: &Desk, place: i64, folded: i64) -> Result<i64, Trouble> {
    let (mut live, mut kept) = (Sums::default(), Sums::default());
    let mut messages = 0;
    for row in &desk.rows(&script(LINES, place), bind![folded]).await? {
        let (share, many) = (share(row)?, rows::get::<i64>(row, 2)?);
        share.take_back(many, &mut live);
        share.add(many, &mut kept);
        messages += if share.first { many } else { 0 };
    }
    for row in &desk.rows(&script(ATTEMPTS, place), bind![folded]).await? {
        let many = rows::get::<i64>(row, 1)?;
        let call = call(row)?;
        if rows::get::<Option<bool>>(row, 0)?.unwrap_or_default() {
            live.call(&call, -many);
        }
        kept.call(&call, many);
    }
    tally::write(&live, desk, "live").await?;
    tally::write(&kept, desk, "kept").await?;
    desk.run(&script(ADDRESS_KEPT, place), &[]).await?;
    desk.run(&script(ADDRESS, place), bind![folded]).await?;
    Ok(messages)
}

fn share(row: &Row) -> Result<Share, Trouble> {
    let was_counted = rows::get::<Option<&str>>(row, 7)?.is_some();
    Ok(Share {
        first: rows::get(row, 0)?,
        hour: rows::get(row, 1)?,
        now: tally::standpoint(row, 3)?,
        counted: was_counted.then(|| tally::standpoint(row, 7)).transpose()?,
    })
}

fn call(row: &Row) -> Result<Call, Trouble> {
    Ok(Call {
        place: 0,
        provider: rows::get::<Option<String>>(row, 2)?.unwrap_or_default(),
        outcome: rows::get(row, 3)?,
        duration_ms: rows::count(row, 4)?,
    })
}
