//! Loading of messages with their deliveries and attempts, and the range of message numbers of a time.

use rusqlite::{Connection, OptionalExtension};

use crate::read::MessageList;
use crate::rollups::HOUR_MS;
use crate::rows::deliveries::{decode_attempt, decode_delivery, decode_message};
use crate::rows::{SqlRow, delivery_id_range};
use postrider_core::clock::Timestamp;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::Message;

static MESSAGE_NUMBER: &str = sql!("sqlite/read/find_message_number");
static MESSAGE: &str = sql!("sqlite/read/load_message");
static DELIVERIES: &str = sql!("sqlite/read/load_deliveries");
static ATTEMPTS: &str = sql!("sqlite/read/load_attempts");
static FIRST_NUMBER: &str = sql!("sqlite/read/find_first_number");

/// The greatest message number for which delivery ids exist.
pub const MESSAGE_NUMBER_MAX: i64 = i64::MAX / DeliveryId::PER_MESSAGE;

/// Returns a message with its deliveries and their attempts.
pub fn find_message(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<Message>> {
    let Some(number) = message_number(connection, id)? else {
        return Ok(None);
    };
    let mut message = load_message(connection, number)?;
    let mut attempts = connection.prepare_cached(ATTEMPTS)?;
    for delivery in &mut message.deliveries {
        delivery.attempts = attempts
            .query_map([delivery.id.0], |row| decode_attempt(row))?
            .collect::<rusqlite::Result<_>>()?;
    }
    Ok(Some(message))
}

/// Returns the number of the message with an id.
pub fn message_number(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached(MESSAGE_NUMBER)?.query_row([id.bytes()], |row| row.integer("number")).optional()
}

/// Returns a page of at most `limit` messages without attempts. `numbers` has one more if there is a next page.
pub fn load_message_list(
    connection: &Connection,
    mut numbers: Vec<i64>,
    limit: usize,
) -> rusqlite::Result<MessageList> {
    let has_more = numbers.len() > limit;
    numbers.truncate(limit);
    let messages =
        numbers.iter().map(|number| load_message(connection, *number)).collect::<rusqlite::Result<_>>()?;
    Ok(MessageList { messages, next: numbers.last().copied().filter(|_| has_more) })
}

/// Returns a message with its deliveries, without their attempts.
fn load_message(connection: &Connection, number: i64) -> rusqlite::Result<Message> {
    let mut message = connection.prepare_cached(MESSAGE)?.query_row([number], |row| decode_message(row))?;
    message.deliveries = connection
        .prepare_cached(DELIVERIES)?
        .query_map(delivery_id_range(number), |row| decode_delivery(row))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(message)
}

/// Returns the first message number that can have been accepted at or after `since`; none if there is none.
pub fn first_number_since(
    connection: &Connection,
    since: Option<Timestamp>,
) -> rusqlite::Result<Option<i64>> {
    let Some(since) = since else {
        return Ok(Some(0));
    };
    let hour = since.timestamp_millis().div_euclid(HOUR_MS);
    connection.prepare_cached(FIRST_NUMBER)?.query_row([hour], |row| row.optional_integer("first_number"))
}
