//! Usage: the messages of one user or of all, listed or counted by day, user and channel.
//!
//! The hours of messages bound the range of message numbers that a query reads.

use super::errors::PgError;
use super::escape::escape_text;
use super::message_hours::{find_first_number_of_hour, first_number_since};
use super::pool::{PgTransaction, bind};
use crate::rollups::HOUR_MS;
use crate::rows::deliveries::decode_usage_row;
use crate::rows::{SqlRow, limit_to_sql};
use crate::usage::{DELIVERIES_COUNTED_MAX, TOTALS_ROWS_MAX};
use crate::{UsageQuery, UsageTotals};
use postrider_core::id::DeliveryId;

static LIST: &str = sql!("common/read/list_usage");
static LIST_USER: &str = sql!("postgres/read/list_user_usage");
static COUNT: &str = sql!("postgres/read/count_usage");
static COUNT_USER: &str = sql!("postgres/read/count_user_usage");

/// Processes that accept at the same moment may number messages of neighbouring hours in any order. A message therefore
/// has a smaller number than the first one of the hour after the next.
const HOURS_AFTER: i64 = 2;

/// Returns the numbers of one page and, if there is one, of the first message of the next page.
pub async fn message_numbers(transaction: &PgTransaction, query: &UsageQuery) -> Result<Vec<i64>, PgError> {
    let Some((first, end)) = find_number_range(transaction, query).await? else {
        return Ok(Vec::new());
    };
    let end = query.before.map_or(end, |before| before.min(end));
    let (since, until) = query.millis_range();
    let limit = limit_to_sql(query.limit.saturating_add(1));
    let rows = match &query.user {
        Some(user) => {
            let user = escape_text(user);
            let values = bind![first, end, since, until, limit, user];
            transaction.query(LIST_USER, values).await?
        }
        None => {
            let values = bind![first, end, since, until, limit];
            transaction.query(LIST, values).await?
        }
    };
    rows.iter().map(|row| row.integer("number")).collect()
}

/// Counts deliveries by day, user and channel. Stops after [`DELIVERIES_COUNTED_MAX`] deliveries.
pub async fn totals(transaction: &PgTransaction, query: &UsageQuery) -> Result<UsageTotals, PgError> {
    let Some((first, end)) = find_number_range(transaction, query).await? else {
        return Ok(UsageTotals::from_rows(Vec::new()));
    };
    let (since, until) = query.millis_range();
    let deliveries_max = limit_to_sql(DELIVERIES_COUNTED_MAX);
    let rows_max = limit_to_sql(TOTALS_ROWS_MAX + 1);
    let rows = match &query.user {
        Some(user) => {
            let user = escape_text(user);
            let values = bind![first, end, since, until, deliveries_max, rows_max, user];
            transaction.query(COUNT_USER, values).await?
        }
        None => {
            let values = bind![first, end, since, until, deliveries_max, rows_max];
            transaction.query(COUNT, values).await?
        }
    };
    let rows = rows.iter().map(decode_usage_row).collect::<Result<_, _>>()?;
    Ok(UsageTotals::from_rows(rows))
}

/// Returns the range of message numbers, without its end, or none if there can be no such message.
async fn find_number_range(
    transaction: &PgTransaction,
    query: &UsageQuery,
) -> Result<Option<(i64, i64)>, PgError> {
    let Some(first) = first_number_since(transaction, query.since).await? else {
        return Ok(None);
    };
    let end = match query.until {
        None => None,
        Some(until) => {
            let hour = until.timestamp_millis().div_euclid(HOUR_MS);
            find_first_number_of_hour(transaction, hour.saturating_add(HOURS_AFTER)).await?
        }
    };
    Ok(Some((first, end.unwrap_or(i64::MAX / DeliveryId::PER_MESSAGE))))
}
