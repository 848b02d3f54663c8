//! What was sent to a person or to all: a page of it, or counted.
//!
//! Never writes. The hours say between which numbers the messages of a time lie.

use tokio_postgres::Row;

use super::fault::Trouble;
use super::link::{Desk, bind};
use super::look;
use super::rows::{self, kept};
use crate::domain::usage::UsageTotal;
use crate::store::tally::HOUR_MS;
use crate::store::usage::{COUNTED_MAX, LINES_MAX, day};
use crate::store::{Page, UsageQuery, UsageTotals};

static USAGE: &str = include_str!("../../../sql/postgres/usage.sql");
static USAGE_USER: &str = include_str!("../../../sql/postgres/usage_user.sql");
static USAGE_TOTALS: &str = include_str!("../../../sql/postgres/usage_totals.sql");
static USAGE_TOTALS_USER: &str = include_str!("../../../sql/postgres/usage_totals_user.sql");

/// Numbers are given out in the order of the times but for what hosts have under way at the same moment, which is
/// seconds. So a message has a number below the first of the hour after the next.
const HOURS_AFTER: i64 = 2;

/// See [`crate::store::Store::usage`].
pub async fn page(desk: &Desk, query: &UsageQuery) -> Result<Page, Trouble> {
    let Some((first, end)) = numbers(desk, query).await? else {
        return Ok(Page::default());
    };
    let end = query.before.map_or(end, |before| before.min(end));
    let (since, until) = query.millis();
    let wanted = rows::limit(query.limit.saturating_add(1));
    let found = match &query.user {
        Some(user) => {
            let user = kept(user);
            let values = bind![first, end, since, until, wanted, user];
            desk.rows(USAGE_USER, values).await?
        }
        None => desk.rows(USAGE, bind![first, end, since, until, wanted]).await?,
    };
    let found = found.iter().map(|row| rows::get::<i64>(row, 0));
    look::page(desk, found.collect::<Result<_, _>>()?, query.limit).await
}

/// See [`crate::store::Store::usage_totals`].
pub async fn totals(desk: &Desk, query: &UsageQuery) -> Result<UsageTotals, Trouble> {
    let Some((first, end)) = numbers(desk, query).await? else {
        return Ok(UsageTotals::of(Vec::new()));
    };
    let (since, until) = query.millis();
    let (most, lines) = (rows::limit(COUNTED_MAX), rows::limit(LINES_MAX + 1));
    let counted = match &query.user {
        Some(user) => {
            let user = kept(user);
            let values = bind![first, end, since, until, most, lines, user];
            desk.rows(USAGE_TOTALS_USER, values).await?
        }
        None => {
            let values = bind![first, end, since, until, most, lines];
            desk.rows(USAGE_TOTALS, values).await?
        }
    };
    let counted = counted.iter().map(total).collect::<Result<_, _>>()?;
    Ok(UsageTotals::of(counted))
}

fn total(row: &Row) -> Result<UsageTotal, Trouble> {
    Ok(UsageTotal {
        user: rows::text_if_any(row, 0)?,
        channel: rows::name(row, 1)?,
        day: day(rows::get(row, 2)?),
        deliveries: rows::count(row, 3)?,
        waiting: rows::count(row, 4)?,
        sent: rows::count(row, 5)?,
        delivered: rows::count(row, 6)?,
        failed: rows::count(row, 7)?,
        opened: rows::count(row, 8)?,
        parts: rows::count(row, 9)?,
        tries: rows::count(row, 10)?,
    })
}

/// Between which numbers the messages lie, the second not included; none when there can be no such message.
async fn numbers(desk: &Desk, query: &UsageQuery) -> Result<Option<(i64, i64)>, Trouble> {
    let Some(first) = look::first_since(desk, query.since).await? else {
        return Ok(None);
    };
    let end = match query.until {
        None => None,
        Some(until) => {
            let hour = until.timestamp_millis().div_euclid(HOUR_MS);
            look::first_of_hour(desk, hour.saturating_add(HOURS_AFTER)).await?
        }
    };
    Ok(Some((first, end.unwrap_or(look::NUMBER_MAX))))
}
