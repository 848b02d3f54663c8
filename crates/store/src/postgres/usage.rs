//! What was sent to a person or to all: a page of it, or counted.
//!
//! Never writes. The hours say between which numbers the messages of a time lie.

use tokio_postgres::Row;

use super::errors::PgError;
use super::pool::{PgTransaction, bind};
use super::read;
use super::rows::{self, escape_text};
use crate::rollups::HOUR_MS;
use crate::usage::{DELIVERIES_COUNTED_MAX, TOTALS_ROWS_MAX, date_of_day_number};
use crate::{MessageList, UsageQuery, UsageTotals};
use postrider_core::usage::UsageRow;

static USAGE: &str = sql!("postgres/read/list_usage");
static USAGE_USER: &str = sql!("postgres/read/list_user_usage");
static USAGE_TOTALS: &str = sql!("postgres/read/count_usage");
static USAGE_TOTALS_USER: &str = sql!("postgres/read/count_user_usage");

/// Numbers are given out in the order of the times but for what hosts have under way at the same moment, which is
/// seconds. So a message has a number below the first of the hour after the next.
const HOURS_AFTER: i64 = 2;

/// See [`crate::Store::usage`].
pub async fn usage(transaction: &PgTransaction, query: &UsageQuery) -> Result<MessageList, PgError> {
    let Some((first, end)) = number_range(transaction, query).await? else {
        return Ok(MessageList::default());
    };
    let end = query.before.map_or(end, |before| before.min(end));
    let (since, until) = query.millis_range();
    let wanted = rows::limit_to_sql(query.limit.saturating_add(1));
    let found = match &query.user {
        Some(user) => {
            let user = escape_text(user);
            let values = bind![first, end, since, until, wanted, user];
            transaction.query(USAGE_USER, values).await?
        }
        None => {
            transaction
                .query(USAGE, bind![first, end, since, until, wanted])
                .await?
        }
    };
    let found = found.iter().map(|row| rows::get::<i64>(row, 0));
    read::load_message_list(transaction, found.collect::<Result<_, _>>()?, query.limit).await
}

/// See [`crate::Store::usage_totals`].
pub async fn usage_totals(transaction: &PgTransaction, query: &UsageQuery) -> Result<UsageTotals, PgError> {
    let Some((first, end)) = number_range(transaction, query).await? else {
        return Ok(UsageTotals::from_rows(Vec::new()));
    };
    let (since, until) = query.millis_range();
    let (deliveries_max, rows_max) = (
        rows::limit_to_sql(DELIVERIES_COUNTED_MAX),
        rows::limit_to_sql(TOTALS_ROWS_MAX + 1),
    );
    let counted = match &query.user {
        Some(user) => {
            let user = escape_text(user);
            let values = bind![first, end, since, until, deliveries_max, rows_max, user];
            transaction.query(USAGE_TOTALS_USER, values).await?
        }
        None => {
            let values = bind![first, end, since, until, deliveries_max, rows_max];
            transaction.query(USAGE_TOTALS, values).await?
        }
    };
    let counted = counted.iter().map(decode_total).collect::<Result<_, _>>()?;
    Ok(UsageTotals::from_rows(counted))
}

fn decode_total(row: &Row) -> Result<UsageRow, PgError> {
    Ok(UsageRow {
        user: rows::optional_text(row, 0)?,
        channel: rows::decode_name(row, 1)?,
        day: date_of_day_number(rows::get(row, 2)?),
        deliveries: rows::decode_count(row, 3)?,
        waiting: rows::decode_count(row, 4)?,
        sent: rows::decode_count(row, 5)?,
        delivered: rows::decode_count(row, 6)?,
        failed: rows::decode_count(row, 7)?,
        opened: rows::decode_count(row, 8)?,
        parts: rows::decode_count(row, 9)?,
        tries: rows::decode_count(row, 10)?,
    })
}

/// Between which numbers the messages lie, the second not included; none when there can be no such message.
async fn number_range(
    transaction: &PgTransaction,
    query: &UsageQuery,
) -> Result<Option<(i64, i64)>, PgError> {
    let Some(first) = read::first_number_since(transaction, query.since).await? else {
        return Ok(None);
    };
    let end = match query.until {
        None => None,
        Some(until) => {
            let hour = until.timestamp_millis().div_euclid(HOUR_MS);
            read::first_number_of_hour(transaction, hour.saturating_add(HOURS_AFTER)).await?
        }
    };
    Ok(Some((first, end.unwrap_or(read::MESSAGE_NUMBER_MAX))))
}
