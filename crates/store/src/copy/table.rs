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
    /// Positions of the primary key's columns in `columns`.
    pub key: Vec<usize>,
    /// A column that only this store has, and the position of its substitute in `columns`.
    pub backend_column: Option<(&'static BackendColumn, usize)>,
}

impl CopyTable {
    /// Returns the change log, with the columns by which entries are deleted.
    pub fn changes_table() -> Self {
        let seq = CopyColumn { name: "seq".to_owned(), kind: ColumnType::Integer };
        Self { name: "copy_changes".to_owned(), columns: vec![seq], key: vec![0], backend_column: None }
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
    pub fn parse_logged_key(&self, logged_values: &[CopyValue]) -> Result<CopyRow> {
        let columns = self.key_columns().zip(logged_values);
        columns.map(|(column, logged_value)| column.parse_logged_value(logged_value)).collect()
    }
}

impl CopyColumn {
    fn parse_logged_value(&self, logged_value: &CopyValue) -> Result<CopyValue> {
        let parsed_value = match (self.kind, logged_value) {
            (_, CopyValue::Null) => None,
            (ColumnType::Integer, CopyValue::Text(digits)) => digits.parse().ok().map(CopyValue::Integer),
            (ColumnType::Bytes, CopyValue::Text(hex)) => parse_bytea(hex).map(CopyValue::Bytes),
            (_, logged_value) => Some(logged_value.clone()),
        };
        parsed_value.ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("a logged key has no column {}", self.name))
        })
    }
}

/// Parses bytes as PostgreSQL prints them: `\x00ff`.
fn parse_bytea(text: &str) -> Option<Vec<u8>> {
    let hex_digits = text.strip_prefix("\\x")?.as_bytes();
    let parse_byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    hex_digits.chunks(2).map(parse_byte).collect()
}
