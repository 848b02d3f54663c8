//! Rows of PostgreSQL, read by column name.

use super::{errors::PgError, escape::unescape_text};
use crate::rows::SqlRow;

impl SqlRow for tokio_postgres::Row {
    type Error = PgError;

    fn optional_integer(&self, column: &str) -> Result<Option<i64>, PgError> {
        get(self, column)
    }

    fn optional_bool(&self, column: &str) -> Result<Option<bool>, PgError> {
        // A flag is a BOOLEAN where the statement computes it and an integer in some tables.
        if let Ok(flag) = self.try_get(column) {
            return Ok(flag);
        }
        Ok(self.optional_integer(column)?.map(|flag| flag != 0))
    }

    fn optional_text(&self, column: &str) -> Result<Option<String>, PgError> {
        Ok(get::<Option<String>>(self, column)?.map(unescape_text))
    }

    fn optional_word(&self, column: &str) -> Result<Option<&str>, PgError> {
        get(self, column)
    }

    fn optional_bytes(&self, column: &str) -> Result<Option<&[u8]>, PgError> {
        get(self, column)
    }

    fn invalid_value(&self, column: &str, value: &str) -> PgError {
        PgError::InvalidRow(format!("column {column}: unexpected value {value:?}"))
    }
}

fn get<'r, T: tokio_postgres::types::FromSql<'r>>(
    row: &'r tokio_postgres::Row,
    column: &str,
) -> Result<T, PgError> {
    row.try_get(column).map_err(|error| PgError::InvalidRow(format!("column {column}: {error}")))
}
