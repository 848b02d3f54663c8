//! Between rows and the domain: how states, times and names are written in columns and read back.
//!
//! A word that no state has is an error, never a guess.

use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::Type;

use crate::clock::{Timestamp, from_millis};
use crate::domain::channel::Name;
use crate::domain::contact::{self, Contact};
use crate::domain::delivery::{Failure, Standing, State};
use crate::domain::event::Watch;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::Priority;

/// A state as the columns hold it.
pub struct Facts<'a> {
    pub state: &'static str,
    pub failure: Option<&'static str>,
    pub reason: Option<&'a str>,
    pub provider: Option<&'a str>,
    pub reference: Option<&'a str>,
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
                facts.reason = reason.as_deref();
            }
            State::Sent {
                provider,
                reference,
                at,
            } => {
                facts.provider = Some(provider.as_str());
                facts.reference = reference.as_deref();
                facts.ended_at = Some(at.timestamp_millis());
            }
            State::Delivered { at } => facts.ended_at = Some(at.timestamp_millis()),
            State::Failed { failure, reason, at } => {
                facts.failure = Some(failure.word());
                facts.reason = Some(reason);
                facts.ended_at = Some(at.timestamp_millis());
            }
        }
        facts
    }
}

/// The state in the first seven columns: state, failure, reason, due_at, ended_at, provider, reference.
pub fn state(row: &Row<'_>) -> rusqlite::Result<State> {
    let standing = word(row, 0, Standing::from_word)?;
    Ok(match standing {
        Standing::Waiting => State::Waiting {
            due_at: time(row, 3)?,
            reason: row.get(2)?,
        },
        Standing::Sent => State::Sent {
            provider: name(row, 5)?,
            reference: row.get(6)?,
            at: time(row, 4)?,
        },
        Standing::Delivered => State::Delivered { at: time(row, 4)? },
        Standing::Failed => State::Failed {
            failure: word(row, 1, Failure::from_word)?,
            reason: row.get(2)?,
            at: time(row, 4)?,
        },
    })
}

/// A moment.
pub fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(from_millis)
}

/// A moment that may not have come.
pub fn time_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let millis = row.get::<_, Option<i64>>(column)?;
    Ok(millis.map(from_millis))
}

/// The name of a channel or a provider.
pub fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<Name> {
    word(row, column, |text| Name::from_str(text).ok())
}

/// A name that may be missing.
pub fn name_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Name>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => name(row, column).map(Some),
    }
}

/// A word of a fixed list.
pub fn word<T>(row: &Row<'_>, column: usize, read: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    read(text).ok_or_else(|| impossible(column, Type::Text, text))
}

/// The addresses of a delivery that has several.
pub fn contacts_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Vec<Contact>>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => word(row, column, contact::read).map(Some),
    }
}

/// Who wants to hear of a message.
pub fn watch_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Watch>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => word(row, column, Watch::read).map(Some),
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
pub fn rank(priority: Priority) -> i64 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
    }
}

/// Back from the rank.
pub fn priority(row: &Row<'_>, column: usize) -> rusqlite::Result<Priority> {
    match row.get::<_, i64>(column)? {
        0 => Ok(Priority::High),
        1 => Ok(Priority::Normal),
        other => Err(impossible(column, Type::Integer, &other.to_string())),
    }
}

/// A count, which is never negative.
pub fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let count = row.get::<_, i64>(column)?;
    u64::try_from(count).map_err(|_| impossible(column, Type::Integer, &count.to_string()))
}

/// The first and the last number a delivery of a message can have.
pub fn range(message_number: i64) -> (i64, i64) {
    let first = DeliveryId::of(message_number, 0).0;
    (first, first + DeliveryId::PER_MESSAGE - 1)
}

/// A count as SQL wants it.
pub fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A limit as SQL wants it.
pub fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn impossible(column: usize, kind: Type, text: &str) -> rusqlite::Error {
    let cause = format!("{text:?} is nothing this column can hold");
    rusqlite::Error::FromSqlConversionFailure(column, kind, cause.into())
}
