//! A value of a column, independent of the backend.
//!
//! Text is unescaped: the PostgreSQL side escapes and unescapes U+0000.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

/// A value. A boolean is the integer 0 or 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CopyValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The values of a row, in the order of its table's columns, or of its key.
pub type CopyRow = Vec<CopyValue>;

impl CopyValue {
    /// Returns the integer.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    fn update_digest(&self, digest: &mut Sha256) {
        let mut add_value = |type_tag: u8, bytes: &[u8]| {
            digest.update([type_tag]);
            digest.update(bytes.len().to_le_bytes());
            digest.update(bytes);
        };
        match self {
            Self::Null => add_value(0, &[]),
            Self::Integer(number) => add_value(1, &number.to_le_bytes()),
            Self::Real(number) => add_value(2, &number.to_bits().to_le_bytes()),
            Self::Text(text) => add_value(3, text.as_bytes()),
            Self::Bytes(bytes) => add_value(4, bytes),
        }
    }
}

/// A count and a checksum of rows, independent of their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableChecksum {
    /// Number of rows.
    pub rows: u64,
    /// Sum of the hashes of the rows, modulo 2^128.
    pub checksum: u128,
}

impl TableChecksum {
    /// Adds a row.
    pub fn add(&mut self, row: &[CopyValue]) {
        let mut digest = Sha256::new();
        for value in row {
            value.update_digest(&mut digest);
        }
        let hash = digest.finalize();
        let mut half_hash = [0; 16];
        half_hash.copy_from_slice(&hash[..16]);
        self.rows += 1;
        self.checksum = self.checksum.wrapping_add(u128::from_le_bytes(half_hash));
    }
}
