//! Between rows and the domain: how states, times and names are written in columns and read back.
//!
//! A word that no state has is an error, never a guess.

use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::Type;

use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::contact::{self, Contact};
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, Failure};
use postrider_core::event::EventTarget;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;

/// A state as the columns hold it.
pub struct StateColumns<'a> {
    pub state: &'static str,
    pub failure: Option<&'static str>,
    pub reason: Option<&'a str>,
    pub provider: Option<&'a str>,
    pub reference: Option<&'a str>,
    pub due_at: Option<i64>,
    pub ended_at: Option<i64>,
}

impl<'a> StateColumns<'a> {
    /// The columns of a state. Provider and reference are there for `Sent` alone.
    pub fn from_state(state: &'a DeliveryState) -> Self {
        let mut facts = Self {
            state: state.kind().as_str(),
            failure: None,
            reason: None,
            provider: None,
            reference: None,
            due_at: None,
            ended_at: None,
        };
        match state {
            DeliveryState::Waiting { due_at, reason } => {
                facts.due_at = Some(due_at.timestamp_millis());
                facts.reason = reason.as_deref();
            }
            DeliveryState::Sent {
                provider,
                reference,
                at,
            } => {
                facts.provider = Some(provider.as_str());
                facts.reference = reference.as_deref();
                facts.ended_at = Some(at.timestamp_millis());
            }
            DeliveryState::Delivered { at } => facts.ended_at = Some(at.timestamp_millis()),
            DeliveryState::Failed { failure, reason, at } => {
                facts.failure = Some(failure.as_str());
                facts.reason = Some(reason);
                facts.ended_at = Some(at.timestamp_millis());
            }
        }
        facts
    }
}

/// The state in the first seven columns: state, failure, reason, due_at, ended_at, provider, reference.
pub fn decode_state(row: &Row<'_>) -> rusqlite::Result<DeliveryState> {
    let standing = decode_word(row, 0, DeliveryStateKind::parse)?;
    Ok(match standing {
        DeliveryStateKind::Waiting => DeliveryState::Waiting {
            due_at: decode_time(row, 3)?,
            reason: row.get(2)?,
        },
        DeliveryStateKind::Sent => DeliveryState::Sent {
            provider: decode_name(row, 5)?,
            reference: row.get(6)?,
            at: decode_time(row, 4)?,
        },
        DeliveryStateKind::Delivered => DeliveryState::Delivered {
            at: decode_time(row, 4)?,
        },
        DeliveryStateKind::Failed => DeliveryState::Failed {
            failure: decode_word(row, 1, Failure::parse)?,
            reason: row.get(2)?,
            at: decode_time(row, 4)?,
        },
    })
}

/// A moment.
pub fn decode_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(from_millis)
}

/// A moment that may not have come.
pub fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let millis = row.get::<_, Option<i64>>(column)?;
    Ok(millis.map(from_millis))
}

/// The name of a channel or a provider.
pub fn decode_name(row: &Row<'_>, column: usize) -> rusqlite::Result<ConfigName> {
    decode_word(row, column, |text| ConfigName::from_str(text).ok())
}

/// A name that may be missing.
pub fn optional_name(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<ConfigName>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => decode_name(row, column).map(Some),
    }
}

/// A word of a fixed list.
pub fn decode_word<T>(
    row: &Row<'_>,
    column: usize,
    read: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    read(text).ok_or_else(|| invalid_value(column, Type::Text, text))
}

/// The addresses of a delivery that has several.
pub fn optional_contacts(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Vec<Contact>>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => decode_word(row, column, contact::decode_contacts).map(Some),
    }
}

/// Who wants to hear of a message.
pub fn optional_watch(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<EventTarget>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => decode_word(row, column, EventTarget::decode).map(Some),
    }
}

/// A message's public name.
pub fn message_id(row: &Row<'_>, column: usize) -> rusqlite::Result<MessageId> {
    row.get(column).map(MessageId::from_bytes)
}

/// A delivery's number.
pub fn delivery_id(row: &Row<'_>, column: usize) -> rusqlite::Result<DeliveryId> {
    row.get(column).map(DeliveryId)
}

/// How a priority is kept: what is smaller goes first.
pub fn priority_rank(priority: Priority) -> i64 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
    }
}

/// Back from the rank.
pub fn decode_priority(row: &Row<'_>, column: usize) -> rusqlite::Result<Priority> {
    match row.get::<_, i64>(column)? {
        0 => Ok(Priority::High),
        1 => Ok(Priority::Normal),
        other => Err(invalid_value(column, Type::Integer, &other.to_string())),
    }
}

/// A count, which is never negative.
pub fn decode_count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let count = row.get::<_, i64>(column)?;
    u64::try_from(count).map_err(|_| invalid_value(column, Type::Integer, &count.to_string()))
}

/// The first and the last number a delivery of a message can have.
pub fn delivery_id_range(message_number: i64) -> (i64, i64) {
    let first = DeliveryId::from_position(message_number, 0).0;
    (first, first + DeliveryId::PER_MESSAGE - 1)
}

/// A count as SQL wants it.
pub fn count_to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A limit as SQL wants it.
pub fn limit_to_sql(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn invalid_value(column: usize, kind: Type, text: &str) -> rusqlite::Error {
    let cause = format!("{text:?} is nothing this column can hold");
    rusqlite::Error::FromSqlConversionFailure(column, kind, cause.into())
}
