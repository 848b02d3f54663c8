//! Rows of SQLite, read by column name.

use rusqlite::types::Type;

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
        Ok(self.get_ref(column)?.as_str_or_null()?)
    }

    fn optional_bytes(&self, column: &str) -> rusqlite::Result<Option<&[u8]>> {
        Ok(self.get_ref(column)?.as_blob_or_null()?)
    }

    fn invalid_value(&self, column: &str, value: &str) -> rusqlite::Error {
        let column_type = self.get_ref(column).map_or(Type::Null, |value| value.data_type());
        let column_index = self.as_ref().column_index(column).unwrap_or_default();
        let cause = format!("column {column}: unexpected value {value:?}");
        rusqlite::Error::FromSqlConversionFailure(column_index, column_type, cause.into())
    }
}
