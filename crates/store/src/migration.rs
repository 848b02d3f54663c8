//! A numbered schema change, as both backends apply it.

use postrider_core::error::{Error, Result};

/// Name of the migration that creates the schema, in both backends. A store in which it is pending does not exist yet.
pub const FIRST_MIGRATION: &str = "0001_schema";

/// One schema change.
pub struct Migration {
    pub number: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

/// Refuses a database whose schema number `applied` is greater than `newest`, the newest number of this program.
pub fn refuse_newer(applied: i64, newest: i64) -> Result<()> {
    if applied <= newest {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the database was written by a newer version (its schema is number {applied}, this program knows {newest}): \
         use that version, or restore a backup"
    )))
}
