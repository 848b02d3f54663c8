//! Loading of messages with their deliveries and attempts, and the message numbers of a time range.

use rusqlite::Connection;

use super::query::{query_all, query_one, query_optional};
use crate::rows::deliveries::{decode_attempt, decode_delivery, decode_message};
use crate::rows::{SqlRow, delivery_id_range};
use crate::{read::MessageList, rollups::HOUR_MS};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::{clock::Timestamp, message::Message};

static MESSAGE_NUMBER: &str = sql!("common/read/find_message_number");
static MESSAGE: &str = sql!("sqlite/read/load_message");
static DELIVERIES: &str = sql!("sqlite/read/load_deliveries");
static ATTEMPTS: &str = sql!("sqlite/read/load_attempts");
static FIRST_NUMBER: &str = sql!("common/read/find_first_number");

/// The greatest message number for which delivery ids exist.
const MESSAGE_NUMBER_MAX: i64 = i64::MAX / DeliveryId::PER_MESSAGE;

/// Returns the message number before which a page begins; `before` is none for the first page.
pub fn page_end(before: Option<i64>) -> i64 {
    before.unwrap_or(MESSAGE_NUMBER_MAX).min(MESSAGE_NUMBER_MAX)
}

/// Returns a message with its deliveries and their attempts.
pub fn find_message(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<Message>> {
    let Some(number) = find_message_number(connection, id)? else {
        return Ok(None);
    };
    let mut message = load_message(connection, number)?;
    for delivery in &mut message.deliveries {
        delivery.attempts = query_all(connection, ATTEMPTS, [delivery.id.0], |row| decode_attempt(row))?;
    }
    Ok(Some(message))
}

/// Returns the number of the message with an id.
pub fn find_message_number(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<i64>> {
    query_optional(connection, MESSAGE_NUMBER, [id.bytes()], |row| row.integer("number"))
}

/// Returns a page of at most `limit` messages without attempts. `numbers` has one more if there is a next page.
pub fn load_message_list(
    connection: &Connection,
    mut numbers: Vec<i64>,
    limit: usize,
) -> rusqlite::Result<MessageList> {
    let has_next_page = numbers.len() > limit;
    numbers.truncate(limit);
    let messages =
        numbers.iter().map(|number| load_message(connection, *number)).collect::<rusqlite::Result<_>>()?;
    Ok(MessageList { messages, next: numbers.last().copied().filter(|_| has_next_page) })
}

/// Returns a message with its deliveries, without their attempts.
fn load_message(connection: &Connection, number: i64) -> rusqlite::Result<Message> {
    let mut message = query_one(connection, MESSAGE, [number], |row| decode_message(row))?;
    message.deliveries =
        query_all(connection, DELIVERIES, delivery_id_range(number), |row| decode_delivery(row))?;
    Ok(message)
}

/// Returns a lower bound for the numbers of messages accepted at or after `since`; none if there is no such message.
pub fn first_number_since(
    connection: &Connection,
    since: Option<Timestamp>,
) -> rusqlite::Result<Option<i64>> {
    let Some(since) = since else {
        return Ok(Some(0));
    };
    let hour = since.timestamp_millis().div_euclid(HOUR_MS);
    query_one(connection, FIRST_NUMBER, [hour], |row| row.optional_integer("first_number"))
}
