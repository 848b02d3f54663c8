//! The tables and columns that a move copies.

use super::value::{CopyRow, CopyValue};
use postrider_core::error::{Error, ErrorKind, Result};

/// The table of leases, which only PostgreSQL has.
pub(super) const LEASES_TABLE: &str = "leases";

/// A column that only one backend has. Until the end of the move it contains the value of `substitute`.
#[derive(Debug)]
pub struct BackendColumn {
    pub table: &'static str,
    pub column: &'static str,
    pub substitute: &'static str,
}

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    Integer,
    Boolean,
    Real,
    Text,
    Bytes,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyColumn {
    pub name: String,
    pub kind: ColumnType,
}

/// A table with the columns that are copied, in the same order in both stores.
#[derive(Debug)]
pub struct CopyTable {
    pub name: String,
    pub columns: Vec<CopyColumn>,
    /// Positions of the primary key's columns.
    pub key: Vec<usize>,
    /// A column that only this store has, and the position of its substitute.
    pub backend_column: Option<(&'static BackendColumn, usize)>,
}

impl CopyTable {
    /// Returns the change log, with the columns by which entries are deleted.
    pub fn changes_table() -> Self {
        let seq = CopyColumn { name: "seq".to_owned(), kind: ColumnType::Integer };
        Self { name: "copy_changes".to_owned(), columns: vec![seq], key: vec![0], backend_column: None }
    }

    /// Returns the table of leases.
    pub fn leases_table() -> Self {
        Self::with_name(LEASES_TABLE)
    }

    /// Returns a table of which only the name is used.
    pub fn with_name(name: &str) -> Self {
        Self { name: name.to_owned(), columns: Vec::new(), key: Vec::new(), backend_column: None }
    }

    /// Returns the key of a row.
    pub fn key_of(&self, row: &[CopyValue]) -> CopyRow {
        self.key.iter().map(|position| row[*position].clone()).collect()
    }

    /// Returns the columns of the key.
    pub fn key_columns(&self) -> impl Iterator<Item = &CopyColumn> {
        self.key.iter().map(|position| &self.columns[*position])
    }

    /// Parses a logged key: the log of PostgreSQL stores every column as text.
    pub fn parse_changed_key(&self, logged: &[CopyValue]) -> Result<CopyRow> {
        let parts = self.key_columns().zip(logged);
        parts.map(|(column, part)| column.parse_changed_value(part)).collect()
    }
}

impl CopyColumn {
    fn parse_changed_value(&self, part: &CopyValue) -> Result<CopyValue> {
        let invalid_key =
            || Error::new(ErrorKind::Internal, format!("a logged key has no column {}", self.name));
        match (self.kind, part) {
            (_, CopyValue::Null) => Err(invalid_key()),
            (ColumnType::Integer, CopyValue::Text(text)) => {
                text.parse().map(CopyValue::Integer).map_err(|_| invalid_key())
            }
            (ColumnType::Bytes, CopyValue::Text(text)) => {
                from_hex(text).map(CopyValue::Bytes).ok_or_else(invalid_key)
            }
            (_, part) => Ok(part.clone()),
        }
    }
}

/// Parses bytes as PostgreSQL prints them: `\x00ff`.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |character: &u8| u8::try_from(char::from(*character).to_digit(16)?).ok();
    let pair = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
    digits.chunks(2).map(pair).collect()
}
