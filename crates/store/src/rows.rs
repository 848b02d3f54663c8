//! Reading rows by column name, the same way for both backends.
//!
//! Each backend implements [`SqlRow`]; the decoders in the submodules build domain values from such rows. A value that
//! the schema does not allow is an error; it is never replaced by a default. Every statement must name its columns as
//! the decoders expect.

pub mod broadcasts;
pub mod coordination;
pub mod deliveries;
pub mod events;
pub mod inbound;
pub mod report;

use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::contact::{self, Contact};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::{event::EventTarget, name::ConfigName, priority::Priority};

/// A row of a query result.
pub trait SqlRow {
    /// The error type of the backend.
    type Error;

    /// Returns an integer, or none for NULL.
    fn optional_integer(&self, column: &str) -> Result<Option<i64>, Self::Error>;

    /// Returns a boolean, or none for NULL. An integer column is true if it is not zero.
    fn optional_bool(&self, column: &str) -> Result<Option<bool>, Self::Error>;

    /// Returns text as clients and providers wrote it, or none for NULL.
    fn optional_text(&self, column: &str) -> Result<Option<String>, Self::Error>;

    /// Returns text that never contains U+0000 and is therefore stored as it is (names, codes, addresses), or none for
    /// NULL.
    fn optional_word(&self, column: &str) -> Result<Option<&str>, Self::Error>;

    /// Returns bytes, or none for NULL.
    fn optional_bytes(&self, column: &str) -> Result<Option<&[u8]>, Self::Error>;

    /// Returns the error for a value that the column cannot have.
    fn invalid_value(&self, column: &str, value: &str) -> Self::Error;

    fn integer(&self, column: &str) -> Result<i64, Self::Error> {
        self.required(column, self.optional_integer(column)?)
    }

    /// Returns an integer in the range of `T`.
    fn count<T: TryFrom<i64>>(&self, column: &str) -> Result<T, Self::Error> {
        let count = self.integer(column)?;
        T::try_from(count).map_err(|_| self.invalid_value(column, &count.to_string()))
    }

    fn bool(&self, column: &str) -> Result<bool, Self::Error> {
        self.required(column, self.optional_bool(column)?)
    }

    fn text(&self, column: &str) -> Result<String, Self::Error> {
        self.required(column, self.optional_text(column)?)
    }

    fn word(&self, column: &str) -> Result<&str, Self::Error> {
        self.required(column, self.optional_word(column)?)
    }

    /// Returns bytes of a fixed length.
    fn bytes<const N: usize>(&self, column: &str) -> Result<[u8; N], Self::Error> {
        let bytes = self.required(column, self.optional_bytes(column)?)?;
        bytes.try_into().map_err(|_| self.invalid_value(column, &format!("{} bytes", bytes.len())))
    }

    /// Returns a parsed word.
    fn parsed<T>(&self, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Self::Error> {
        self.required(column, self.optional_parsed(column, parse)?)
    }

    /// Returns a parsed word, or none for NULL.
    fn optional_parsed<T>(
        &self,
        column: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Self::Error> {
        let word = self.optional_word(column)?;
        word.map(|word| parse(word).ok_or_else(|| self.invalid_value(column, word))).transpose()
    }

    /// Returns a time, stored in milliseconds since 1970.
    fn time(&self, column: &str) -> Result<Timestamp, Self::Error> {
        self.integer(column).map(from_millis)
    }

    fn optional_time(&self, column: &str) -> Result<Option<Timestamp>, Self::Error> {
        Ok(self.optional_integer(column)?.map(from_millis))
    }

    /// Returns the name of a channel or a provider.
    fn name(&self, column: &str) -> Result<ConfigName, Self::Error> {
        self.parsed(column, |name| name.parse().ok())
    }

    fn optional_name(&self, column: &str) -> Result<Option<ConfigName>, Self::Error> {
        self.optional_parsed(column, |name| name.parse().ok())
    }

    /// Returns the addresses of a delivery that has several.
    fn optional_contacts(&self, column: &str) -> Result<Option<Vec<Contact>>, Self::Error> {
        self.optional_parsed(column, contact::decode_contacts)
    }

    /// Returns the event target of a message.
    fn optional_event_target(&self, column: &str) -> Result<Option<EventTarget>, Self::Error> {
        self.optional_parsed(column, EventTarget::decode)
    }

    /// Returns the id of a message or a broadcast.
    fn message_id(&self, column: &str) -> Result<MessageId, Self::Error> {
        self.bytes(column).map(MessageId::from_bytes)
    }

    fn delivery_id(&self, column: &str) -> Result<DeliveryId, Self::Error> {
        self.integer(column).map(DeliveryId)
    }

    /// Returns a priority. The column contains its [`priority_rank`].
    fn priority(&self, column: &str) -> Result<Priority, Self::Error> {
        match self.integer(column)? {
            0 => Ok(Priority::High),
            1 => Ok(Priority::Normal),
            rank => Err(self.invalid_value(column, &rank.to_string())),
        }
    }

    /// Returns the value of a column that is never NULL.
    fn required<T>(&self, column: &str, value: Option<T>) -> Result<T, Self::Error> {
        value.ok_or_else(|| self.invalid_value(column, "NULL"))
    }
}

/// Returns the stored form of a priority: lower ranks are sent first.
pub fn priority_rank(priority: Priority) -> i64 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
    }
}

/// Returns the first and the last delivery id that a message can have.
pub fn delivery_id_range(message_number: i64) -> (i64, i64) {
    let first = DeliveryId::from_position(message_number, 0).0;
    (first, first + DeliveryId::PER_MESSAGE - 1)
}

/// Converts a count for SQL.
pub fn count_to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Converts a limit for SQL.
pub fn limit_to_sql(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
