//! The first message number of each hour, which replaces an index on the creation time.

use super::errors::PgError;
use super::pool::{PgTransaction, bind};
use crate::{rollups::HOUR_MS, rows::SqlRow};
use postrider_core::{clock::Timestamp, id::DeliveryId};

/// The greatest message number whose delivery ids fit into 64 bits.
pub const MESSAGE_NUMBER_MAX: i64 = i64::MAX / DeliveryId::PER_MESSAGE;

static FIRST_NUMBER: &str = sql!("common/read/find_first_number");

/// Returns a lower bound for the numbers of messages accepted at or after `since`; none if there is no such message.
pub async fn first_number_since(
    transaction: &PgTransaction,
    since: Option<Timestamp>,
) -> Result<Option<i64>, PgError> {
    let Some(since) = since else {
        return Ok(Some(0));
    };
    find_first_number_of_hour(transaction, since.timestamp_millis().div_euclid(HOUR_MS)).await
}

/// Returns a lower bound for the numbers of messages accepted in or after an hour, counted from 1970; none if there is no
/// such message.
pub async fn find_first_number_of_hour(
    transaction: &PgTransaction,
    hour: i64,
) -> Result<Option<i64>, PgError> {
    transaction.query_one(FIRST_NUMBER, bind![hour]).await?.optional_integer("first_number")
}
