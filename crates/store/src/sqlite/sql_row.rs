//! Rows of SQLite, read by column name.

use rusqlite::types::{Type, ValueRef};

use crate::rows::SqlRow;

impl SqlRow for rusqlite::Row<'_> {
    type Error = rusqlite::Error;

    fn optional_integer(&self, column: &str) -> rusqlite::Result<Option<i64>> {
        self.get(column)
    }

    fn optional_bool(&self, column: &str) -> rusqlite::Result<Option<bool>> {
        self.get(column)
    }

    fn optional_text(&self, column: &str) -> rusqlite::Result<Option<String>> {
        self.get(column)
    }

    fn optional_word(&self, column: &str) -> rusqlite::Result<Option<&str>> {
        match self.get_ref(column)? {
            ValueRef::Null => Ok(None),
            value => Ok(Some(value.as_str()?)),
        }
    }

    fn optional_bytes(&self, column: &str) -> rusqlite::Result<Option<&[u8]>> {
        match self.get_ref(column)? {
            ValueRef::Null => Ok(None),
            value => Ok(Some(value.as_blob()?)),
        }
    }

    fn invalid_value(&self, column: &str, value: &str) -> rusqlite::Error {
        let kind = self.get_ref(column).map_or(Type::Null, |value| value.data_type());
        let index = self.as_ref().column_index(column).unwrap_or_default();
        let cause = format!("column {column}: unexpected value {value:?}");
        rusqlite::Error::FromSqlConversionFailure(index, kind, cause.into())
    }
}
