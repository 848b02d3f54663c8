//! The months the growing tables are kept by: which there are, the next ones, where a new one begins.
//!
//! A partition covers a fixed range of message numbers. At the beginning of a month the numbers jump to the next
//! range, so that a partition holds a month and can go as a whole. A jump that was forgotten only means that two
//! months go together; it is never an error.

use std::collections::BTreeSet;

use chrono::Datelike;

use super::accept::NUMBERS_LOCK;
use super::fault::Trouble;
use super::link::{Desk, bind};
use super::look;
use super::rows;
use crate::clock::Timestamp;
use crate::domain::id::DeliveryId;
use crate::store::tally::HOUR_MS;

static MONTHS: &str = include_str!("../../../sql/postgres/months.sql");
static LOCK: &str = include_str!("../../../sql/postgres/month_lock.sql");
static MAKE: &str = include_str!("../../../sql/postgres/month_make.sql");
static NUMBER: &str = include_str!("../../../sql/postgres/month_number.sql");
static BEGIN: &str = include_str!("../../../sql/postgres/month_begin.sql");
static NOTE: &str = include_str!("../../../sql/postgres/month_note.sql");
static NUMBERS_ALONE: &str = include_str!("../../../sql/postgres/fold_lock.sql");
static WAITING: &str = include_str!("../../../sql/postgres/retire_waiting.sql");

/// How many message numbers a partition covers: more than anybody sends in a month, and few enough that the numbers of
/// deliveries stay whole numbers in JavaScript for a hundred years.
const NUMBERS: i64 = 1 << 36;

/// How many partitions stand ready behind the one that is filled.
const AHEAD: i64 = 2;

/// A partition of the tables.
pub struct Month {
    /// Which one, from 0.
    pub place: i64,
    /// The month it was begun in; none while it stands ready.
    month: Option<i64>,
    /// Whether it is no part of the tables any more.
    pub retired: bool,
}

impl Month {
    /// The first message number it covers.
    pub fn first(&self) -> i64 {
        self.place * NUMBERS
    }

    /// The first message number after it.
    pub fn next(&self) -> i64 {
        self.first() + NUMBERS
    }
}

/// A script that speaks of a partition.
pub fn script(template: &str, place: i64) -> String {
    let template = template.replace("{place}", &place.to_string());
    let template = template.replace("{first}", &(place * NUMBERS).to_string());
    template.replace("{next}", &((place + 1) * NUMBERS).to_string())
}

/// All partitions, the oldest first.
pub async fn all(desk: &Desk) -> Result<Vec<Month>, Trouble> {
    let found = desk.rows(MONTHS, &[]).await?;
    let read = |row| {
        Ok(Month {
            place: rows::get(row, 0)?,
            month: rows::get(row, 1)?,
            retired: rows::get(row, 2)?,
        })
    };
    found.iter().map(read).collect()
}

/// The partition that is filled now.
async fn current(desk: &Desk) -> Result<i64, Trouble> {
    let number = rows::get::<i64>(&desk.one(NUMBER, &[]).await?, 0)?;
    Ok(number.div_euclid(NUMBERS))
}

/// Makes the partitions that should stand ready. Ends before [`begin`] moves the numbers there: a number that is given
/// out is never taken back, a partition that was only begun is.
pub async fn make(desk: &Desk) -> Result<(), Trouble> {
    if missing(desk).await?.is_empty() {
        return Ok(());
    }
    desk.script(LOCK).await?;
    for place in missing(desk).await? {
        desk.script(&script(MAKE, place)).await?;
    }
    Ok(())
}

/// Makes the partitions that messages with these numbers need, where they are missing.
pub async fn make_for(desk: &Desk, numbers: impl Iterator<Item = i64>) -> Result<(), Trouble> {
    let mut places = numbers
        .map(|number| number.div_euclid(NUMBERS))
        .collect::<BTreeSet<_>>();
    without_those_there_are(desk, &mut places).await?;
    if places.is_empty() {
        return Ok(());
    }
    // Somebody may have made them while we waited for the lock.
    desk.script(LOCK).await?;
    without_those_there_are(desk, &mut places).await?;
    for place in places {
        desk.script(&script(MAKE, place)).await?;
    }
    Ok(())
}

async fn without_those_there_are(desk: &Desk, places: &mut BTreeSet<i64>) -> Result<(), Trouble> {
    for month in all(desk).await? {
        places.remove(&month.place);
    }
    Ok(())
}

async fn missing(desk: &Desk) -> Result<Vec<i64>, Trouble> {
    let current = current(desk).await?;
    let all = all(desk).await?;
    let wanted = current..=current + AHEAD;
    Ok(wanted
        .filter(|place| !all.iter().any(|month| month.place == *place))
        .collect())
}

/// Lets the numbers jump to the next partition when the month has changed since the last jump.
pub async fn begin(desk: &Desk, now: Timestamp) -> Result<(), Trouble> {
    let this_month = i64::from(now.year()) * 12 + i64::from(now.month0());
    if !is_outdated(desk, this_month).await? {
        return Ok(());
    }
    // Nobody is in the middle of an accept, so nobody holds a number of the old range any more.
    desk.rows(NUMBERS_ALONE, bind![NUMBERS_LOCK]).await?;
    if !is_outdated(desk, this_month).await? {
        return Ok(());
    }
    let place = current(desk).await?;
    let all = all(desk).await?;
    let has_begun = |month: &Month| month.place == place && month.month.is_some();
    let next = Month {
        place: place + 1,
        month: None,
        retired: false,
    };
    let filled = if all.iter().any(has_begun) {
        desk.rows(BEGIN, bind![next.first() - 1]).await?;
        next.place
    } else {
        place
    };
    desk.run(NOTE, bind![filled, this_month]).await?;
    Ok(())
}

/// Whether the partition that is filled was begun in an earlier month, or nobody knows when.
async fn is_outdated(desk: &Desk, this_month: i64) -> Result<bool, Trouble> {
    let place = current(desk).await?;
    let all = all(desk).await?;
    let filled = all.iter().find(|month| month.place == place);
    Ok(filled.is_some_and(|filled| filled.month.is_none_or(|begun| begun < this_month)))
}

/// The months of which all was accepted before then.
pub async fn old(desk: &Desk, before: Timestamp) -> Result<Vec<Month>, Trouble> {
    let current = current(desk).await?;
    // Whatever has a smaller number was accepted in an earlier hour.
    let first = look::first_of_hour(desk, before.timestamp_millis().div_euclid(HOUR_MS)).await?;
    let bound = first.unwrap_or(i64::MAX);
    let mut old = all(desk).await?;
    old.retain(|month| month.place < current && month.next() <= bound && !month.retired);
    Ok(old)
}

/// The old months of which nothing waits: they can go at once.
pub async fn spent(desk: &Desk, before: Timestamp) -> Result<Vec<Month>, Trouble> {
    let mut spent = Vec::new();
    for month in old(desk, before).await? {
        if !waits(desk, &month).await? {
            spent.push(month);
        }
    }
    Ok(spent)
}

/// Whether anything waits in a month.
pub async fn waits(desk: &Desk, month: &Month) -> Result<bool, Trouble> {
    let (first, next) = (DeliveryId::of(month.first(), 0), DeliveryId::of(month.next(), 0));
    rows::get(&desk.one(WAITING, bind![first.0, next.0]).await?, 0)
}
