//! Between rows and the domain: how states, times, names and free text are written in columns and read back.
//!
//! A word that no state has is an error, never a guess.

use std::borrow::Cow;
use std::str::FromStr;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::fault::Trouble;
use crate::clock::{Timestamp, from_millis};
use crate::domain::channel::Name;
use crate::domain::contact::{self, Contact};
use crate::domain::delivery::{Failure, Standing, State};
use crate::domain::event::Watch;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::Priority;

type Result<T> = std::result::Result<T, Trouble>;

/// A state as the columns hold it.
pub struct Facts<'a> {
    pub state: &'static str,
    pub failure: Option<&'static str>,
    pub reason: Option<Cow<'a, str>>,
    pub provider: Option<&'a str>,
    pub reference: Option<Cow<'a, str>>,
    pub due_at: Option<i64>,
    pub ended_at: Option<i64>,
}

impl<'a> Facts<'a> {
    /// The columns of a state. Provider and reference are there for `Sent` alone.
    pub fn of(state: &'a State) -> Self {
        let mut facts = Self {
            state: state.standing().word(),
            failure: None,
            reason: None,
            provider: None,
            reference: None,
            due_at: None,
            ended_at: None,
        };
        match state {
            State::Waiting { due_at, reason } => {
                facts.due_at = Some(due_at.timestamp_millis());
                facts.reason = reason.as_deref().map(kept);
            }
            State::Sent {
                provider,
                reference,
                at,
            } => {
                facts.provider = Some(provider.as_str());
                facts.reference = reference.as_deref().map(kept);
                facts.ended_at = Some(at.timestamp_millis());
            }
            State::Delivered { at } => facts.ended_at = Some(at.timestamp_millis()),
            State::Failed { failure, reason, at } => {
                facts.failure = Some(failure.word());
                facts.reason = Some(kept(reason));
                facts.ended_at = Some(at.timestamp_millis());
            }
        }
        facts
    }
}

/// Marks a letter that is written otherwise.
const MARK: char = '\u{1A}';

/// Free text as the columns hold it: PostgreSQL has no U+0000.
pub fn kept(text: &str) -> Cow<'_, str> {
    if text.contains(['\0', MARK]) {
        Cow::Owned(text.replace(MARK, "\u{1A}1").replace('\0', "\u{1A}0"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Back from the columns.
pub fn said(text: String) -> String {
    if text.contains(MARK) {
        text.replace("\u{1A}0", "\0").replace("\u{1A}1", "\u{1A}")
    } else {
        text
    }
}

/// A column of a plain type.
pub fn get<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Result<T> {
    row.try_get(column)
        .map_err(|error| Trouble::Row(error.to_string()))
}

/// Free text.
pub fn text(row: &Row, column: usize) -> Result<String> {
    get(row, column).map(said)
}

/// Free text that may be missing.
pub fn text_if_any(row: &Row, column: usize) -> Result<Option<String>> {
    Ok(get::<Option<String>>(row, column)?.map(said))
}

/// The state in the first seven columns: state, failure, reason, due_at, ended_at, provider, reference.
pub fn state(row: &Row) -> Result<State> {
    let standing = word(row, 0, Standing::from_word)?;
    Ok(match standing {
        Standing::Waiting => State::Waiting {
            due_at: time(row, 3)?,
            reason: text_if_any(row, 2)?,
        },
        Standing::Sent => State::Sent {
            provider: name(row, 5)?,
            reference: text_if_any(row, 6)?,
            at: time(row, 4)?,
        },
        Standing::Delivered => State::Delivered { at: time(row, 4)? },
        Standing::Failed => State::Failed {
            failure: word(row, 1, Failure::from_word)?,
            reason: text(row, 2)?,
            at: time(row, 4)?,
        },
    })
}

/// A moment.
pub fn time(row: &Row, column: usize) -> Result<Timestamp> {
    get(row, column).map(from_millis)
}

/// A moment that may not have come.
pub fn time_if_any(row: &Row, column: usize) -> Result<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, column)?.map(from_millis))
}

/// The name of a channel or a provider.
pub fn name(row: &Row, column: usize) -> Result<Name> {
    word(row, column, |text| Name::from_str(text).ok())
}

/// A name that may be missing.
pub fn name_if_any(row: &Row, column: usize) -> Result<Option<Name>> {
    match get::<Option<&str>>(row, column)? {
        None => Ok(None),
        Some(_) => name(row, column).map(Some),
    }
}

/// The addresses of a delivery that has several.
pub fn contacts_if_any(row: &Row, column: usize) -> Result<Option<Vec<Contact>>> {
    match get::<Option<&str>>(row, column)? {
        Some(_) => word(row, column, contact::read).map(Some),
        None => Ok(None),
    }
}

/// Who wants to hear of a message.
pub fn watch_if_any(row: &Row, column: usize) -> Result<Option<Watch>> {
    match get::<Option<&str>>(row, column)? {
        Some(_) => word(row, column, Watch::read).map(Some),
        None => Ok(None),
    }
}

/// A word of a fixed list.
pub fn word<T>(row: &Row, column: usize, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let text = get::<&str>(row, column)?;
    read(text).ok_or_else(|| impossible(column, text))
}

/// Bytes of a fixed length.
pub fn bytes<const N: usize>(row: &Row, column: usize) -> Result<[u8; N]> {
    let bytes = get::<&[u8]>(row, column)?;
    bytes
        .try_into()
        .map_err(|_| impossible(column, &format!("{} bytes", bytes.len())))
}

/// A message's public name.
pub fn message_id(row: &Row, column: usize) -> Result<MessageId> {
    bytes(row, column).map(MessageId::from_bytes)
}

/// A delivery's number.
pub fn delivery_id(row: &Row, column: usize) -> Result<DeliveryId> {
    get(row, column).map(DeliveryId)
}

/// How a priority is kept: what is smaller goes first.
pub fn rank(priority: Priority) -> i64 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
    }
}

/// Back from the rank.
pub fn priority(row: &Row, column: usize) -> Result<Priority> {
    match get::<i64>(row, column)? {
        0 => Ok(Priority::High),
        1 => Ok(Priority::Normal),
        other => Err(impossible(column, &other.to_string())),
    }
}

/// A count, which is never negative and fits.
pub fn count<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<T> {
    let count = get::<i64>(row, column)?;
    T::try_from(count).map_err(|_| impossible(column, &count.to_string()))
}

/// The first and the last number a delivery of a message can have.
pub fn range(message_number: i64) -> (i64, i64) {
    let first = DeliveryId::of(message_number, 0).0;
    (first, first + DeliveryId::PER_MESSAGE - 1)
}

/// A limit as SQL wants it.
pub fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn impossible(column: usize, text: &str) -> Trouble {
    Trouble::Row(format!("{text:?} is nothing column {column} can hold"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_kept_and_read_back() {
        for text in ["", "plain", "nul \0", "\u{1A}0", "\u{1A}\0\u{1A}1", "\0\0"] {
            assert!(!kept(text).contains('\0'));
            assert_eq!(said(kept(text).into_owned()), text);
        }
    }
}
