//! A numbered schema change, as both backends apply it.

use postrider_core::error::{Error, ErrorKind, Result};

/// One schema change.
pub struct Migration {
    pub number: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

/// Refuses a database with a schema newer than `newest`, the newest that this program knows.
pub fn refuse_newer(applied: i64, newest: i64) -> Result<()> {
    if applied <= newest {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!(
            "the database was written by a newer version (its schema is number {applied}, this program knows \
             {newest}): use that version, or restore a backup"
        ),
    ))
}
