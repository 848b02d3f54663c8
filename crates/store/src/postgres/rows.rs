//! Between rows and the domain: how states, times, names and free text are written in columns and read back.
//!
//! A word that no state has is an error, never a guess.

use std::borrow::Cow;
use std::str::FromStr;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::errors::PgError;
use postrider_core::channel::ConfigName;
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::contact::{self, Contact};
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, Failure};
use postrider_core::event::EventTarget;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::Priority;

type Result<T> = std::result::Result<T, PgError>;

/// A state as the columns hold it.
pub struct StateColumns<'a> {
    pub state: &'static str,
    pub failure: Option<&'static str>,
    pub reason: Option<Cow<'a, str>>,
    pub provider: Option<&'a str>,
    pub reference: Option<Cow<'a, str>>,
    pub due_at: Option<i64>,
    pub ended_at: Option<i64>,
}

impl<'a> StateColumns<'a> {
    /// The columns of a state. Provider and reference are there for `Sent` alone.
    pub fn from_state(state: &'a DeliveryState) -> Self {
        let mut columns = Self {
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
                columns.due_at = Some(due_at.timestamp_millis());
                columns.reason = reason.as_deref().map(escape_text);
            }
            DeliveryState::Sent {
                provider,
                reference,
                at,
            } => {
                columns.provider = Some(provider.as_str());
                columns.reference = reference.as_deref().map(escape_text);
                columns.ended_at = Some(at.timestamp_millis());
            }
            DeliveryState::Delivered { at } => columns.ended_at = Some(at.timestamp_millis()),
            DeliveryState::Failed { failure, reason, at } => {
                columns.failure = Some(failure.as_str());
                columns.reason = Some(escape_text(reason));
                columns.ended_at = Some(at.timestamp_millis());
            }
        }
        columns
    }
}

/// Marks a letter that is written otherwise.
const ESCAPE: char = '\u{1A}';

/// Free text as the columns hold it: PostgreSQL has no U+0000.
pub fn escape_text(text: &str) -> Cow<'_, str> {
    if text.contains(['\0', ESCAPE]) {
        Cow::Owned(text.replace(ESCAPE, "\u{1A}1").replace('\0', "\u{1A}0"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Back from the columns.
pub fn unescape_text(text: String) -> String {
    if text.contains(ESCAPE) {
        text.replace("\u{1A}0", "\0").replace("\u{1A}1", "\u{1A}")
    } else {
        text
    }
}

/// A column of a plain type.
pub fn get<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Result<T> {
    row.try_get(column)
        .map_err(|error| PgError::InvalidRow(error.to_string()))
}

/// Free text.
pub fn decode_text(row: &Row, column: usize) -> Result<String> {
    get(row, column).map(unescape_text)
}

/// Free text that may be missing.
pub fn optional_text(row: &Row, column: usize) -> Result<Option<String>> {
    Ok(get::<Option<String>>(row, column)?.map(unescape_text))
}

/// The state in the first seven columns: state, failure, reason, due_at, ended_at, provider, reference.
pub fn decode_state(row: &Row) -> Result<DeliveryState> {
    let standing = decode_word(row, 0, DeliveryStateKind::parse)?;
    Ok(match standing {
        DeliveryStateKind::Waiting => DeliveryState::Waiting {
            due_at: decode_time(row, 3)?,
            reason: optional_text(row, 2)?,
        },
        DeliveryStateKind::Sent => DeliveryState::Sent {
            provider: decode_name(row, 5)?,
            reference: optional_text(row, 6)?,
            at: decode_time(row, 4)?,
        },
        DeliveryStateKind::Delivered => DeliveryState::Delivered {
            at: decode_time(row, 4)?,
        },
        DeliveryStateKind::Failed => DeliveryState::Failed {
            failure: decode_word(row, 1, Failure::parse)?,
            reason: decode_text(row, 2)?,
            at: decode_time(row, 4)?,
        },
    })
}

/// A moment.
pub fn decode_time(row: &Row, column: usize) -> Result<Timestamp> {
    get(row, column).map(from_millis)
}

/// A moment that may not have come.
pub fn optional_time(row: &Row, column: usize) -> Result<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, column)?.map(from_millis))
}

/// The name of a channel or a provider.
pub fn decode_name(row: &Row, column: usize) -> Result<ConfigName> {
    decode_word(row, column, |text| ConfigName::from_str(text).ok())
}

/// A name that may be missing.
pub fn optional_name(row: &Row, column: usize) -> Result<Option<ConfigName>> {
    match get::<Option<&str>>(row, column)? {
        None => Ok(None),
        Some(_) => decode_name(row, column).map(Some),
    }
}

/// The addresses of a delivery that has several.
pub fn optional_contacts(row: &Row, column: usize) -> Result<Option<Vec<Contact>>> {
    match get::<Option<&str>>(row, column)? {
        Some(_) => decode_word(row, column, contact::decode_contacts).map(Some),
        None => Ok(None),
    }
}

/// Who wants to hear of a message.
pub fn optional_watch(row: &Row, column: usize) -> Result<Option<EventTarget>> {
    match get::<Option<&str>>(row, column)? {
        Some(_) => decode_word(row, column, EventTarget::decode).map(Some),
        None => Ok(None),
    }
}

/// A word of a fixed list.
pub fn decode_word<T>(row: &Row, column: usize, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let text = get::<&str>(row, column)?;
    read(text).ok_or_else(|| invalid_value(column, text))
}

/// Bytes of a fixed length.
pub fn decode_bytes<const N: usize>(row: &Row, column: usize) -> Result<[u8; N]> {
    let bytes = get::<&[u8]>(row, column)?;
    bytes
        .try_into()
        .map_err(|_| invalid_value(column, &format!("{} bytes", bytes.len())))
}

/// A message's public name.
pub fn message_id(row: &Row, column: usize) -> Result<MessageId> {
    decode_bytes(row, column).map(MessageId::from_bytes)
}

/// A delivery's number.
pub fn delivery_id(row: &Row, column: usize) -> Result<DeliveryId> {
    get(row, column).map(DeliveryId)
}

/// How a priority is kept: what is smaller goes first.
pub fn priority_rank(priority: Priority) -> i64 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
    }
}

/// Back from the rank.
pub fn decode_priority(row: &Row, column: usize) -> Result<Priority> {
    match get::<i64>(row, column)? {
        0 => Ok(Priority::High),
        1 => Ok(Priority::Normal),
        other => Err(invalid_value(column, &other.to_string())),
    }
}

/// A count, which is never negative and fits.
pub fn decode_count<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<T> {
    let count = get::<i64>(row, column)?;
    T::try_from(count).map_err(|_| invalid_value(column, &count.to_string()))
}

/// The first and the last number a delivery of a message can have.
pub fn delivery_id_range(message_number: i64) -> (i64, i64) {
    let first = DeliveryId::from_position(message_number, 0).0;
    (first, first + DeliveryId::PER_MESSAGE - 1)
}

/// A limit as SQL wants it.
pub fn limit_to_sql(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn invalid_value(column: usize, text: &str) -> PgError {
    PgError::InvalidRow(format!("{text:?} is nothing column {column} can hold"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_kept_and_read_back() {
        for text in ["", "plain", "nul \0", "\u{1A}0", "\u{1A}\0\u{1A}1", "\0\0"] {
            assert!(!escape_text(text).contains('\0'));
            assert_eq!(unescape_text(escape_text(text).into_owned()), text);
        }
    }
}
