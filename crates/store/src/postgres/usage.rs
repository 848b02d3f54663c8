//! Usage: the messages of one user or of all, listed or counted by day, user and channel.
//!
//! The hours of messages bound the range of message numbers that a query reads.

use tokio_postgres::Row;

use super::message_hours::{MESSAGE_NUMBER_MAX, find_first_number_of_hour, first_number_since};
use super::pool::{PgTransaction, bind};
use super::{errors::PgError, escape::escape_text};
use crate::rows::{SqlRow, limit_to_sql};
use crate::usage::{DELIVERIES_COUNTED_MAX, TOTALS_ROWS_MAX, indexed_owner};
use crate::{UsageQuery, UsageTotals};
use crate::{rollups::HOUR_MS, rows::deliveries::decode_usage_row};

static LIST: &str = sql!("common/read/list_usage");
pub(super) static LIST_OWNER: &str = sql!("postgres/read/list_owner_usage");
static LIST_USER: &str = sql!("postgres/read/list_user_usage");
static COUNT: &str = sql!("postgres/read/count_usage");
static COUNT_OWNER: &str = sql!("postgres/read/count_owner_usage");
static COUNT_USER: &str = sql!("postgres/read/count_user_usage");

/// Number of hours after `until` whose first message number ends the range. Several processes may number messages of
/// neighbouring hours in any order, so one hour is not enough.
const HOURS_AFTER: i64 = 2;

/// Returns the numbers of one page and, if there is one, of the first message of the next page.
pub async fn message_numbers(transaction: &PgTransaction, query: &UsageQuery) -> Result<Vec<i64>, PgError> {
    let Some((first_number, end_number)) = find_number_range(transaction, query).await? else {
        return Ok(Vec::new());
    };
    let end_number = query.before.map_or(end_number, |before| before.min(end_number));
    let (since, until) = query.millis_range();
    let limit = limit_to_sql(query.limit.saturating_add(1));
    let user = query.user.as_deref().map(escape_text);
    let owner = query.owner.as_deref().map(escape_text);
    let decode = |row: &Row| row.integer("number");
    if user.is_some() {
        let values = bind![first_number, end_number, since, until, limit, user, owner];
        return transaction.query_all(LIST_USER, values, decode).await;
    }
    let statement = if indexed_owner(query.owner.as_deref()).is_some() { LIST_OWNER } else { LIST };
    let values = bind![first_number, end_number, since, until, owner, limit];
    transaction.query_all(statement, values, decode).await
}

/// Counts deliveries by day, user and channel. Stops after [`DELIVERIES_COUNTED_MAX`] deliveries.
pub async fn totals(transaction: &PgTransaction, query: &UsageQuery) -> Result<UsageTotals, PgError> {
    let Some((first_number, end_number)) = find_number_range(transaction, query).await? else {
        return Ok(UsageTotals::from_rows(Vec::new()));
    };
    let (since, until) = query.millis_range();
    let deliveries_max = limit_to_sql(DELIVERIES_COUNTED_MAX);
    let rows_max = limit_to_sql(TOTALS_ROWS_MAX + 1);
    let user = query.user.as_deref().map(escape_text);
    let day_offset_ms = query.day_offset_ms;
    let owner = query.owner.as_deref().map(escape_text);
    let usage_rows = if user.is_some() {
        let values = bind![
            first_number,
            end_number,
            since,
            until,
            deliveries_max,
            rows_max,
            day_offset_ms,
            user,
            owner
        ];
        transaction.query_all(COUNT_USER, values, decode_usage_row).await?
    } else {
        let statement = if indexed_owner(query.owner.as_deref()).is_some() { COUNT_OWNER } else { COUNT };
        let values =
            bind![first_number, end_number, since, until, deliveries_max, rows_max, day_offset_ms, owner];
        transaction.query_all(statement, values, decode_usage_row).await?
    };
    Ok(UsageTotals::from_rows(usage_rows))
}

/// Returns the range of message numbers, without its end, or none if there can be no such message.
async fn find_number_range(
    transaction: &PgTransaction,
    query: &UsageQuery,
) -> Result<Option<(i64, i64)>, PgError> {
    let Some(first_number) = first_number_since(transaction, query.since).await? else {
        return Ok(None);
    };
    let end_number = match query.until {
        None => None,
        Some(until) => {
            let hour = until.timestamp_millis().div_euclid(HOUR_MS);
            find_first_number_of_hour(transaction, hour.saturating_add(HOURS_AFTER)).await?
        }
    };
    Ok(Some((first_number, end_number.unwrap_or(MESSAGE_NUMBER_MAX))))
}
