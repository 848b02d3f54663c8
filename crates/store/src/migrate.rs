//! Brings a database's schema up to what this program knows: numbered, forward only, each step once.
//!
//! Several processes may start at once: the first one takes the write lock, the others wait for it and then
//! find nothing left to do. A database that knows more than this program is refused, never touched.

use rusqlite::{Connection, TransactionBehavior};

use postrider_core::error::{Error, ErrorKind, Result};

use super::sqlite::errors::to_error;

/// One step of a schema, of whatever dialect.
pub(super) struct Migration {
    pub number: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

/// All steps, in order.
const MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "0001_schema",
    sql: include_str!("../../../sql/sqlite/migrations/0001_schema.sql"),
}];

const CREATE_TABLE: &str = include_str!("../../../sql/sqlite/migrations/create_table.sql");
const APPLIED: &str = include_str!("../../../sql/sqlite/migrations/read_applied.sql");
const INSERT_MIGRATION: &str = include_str!("../../../sql/sqlite/migrations/insert_applied.sql");
const COUNT_TABLES: &str = include_str!("../../../sql/sqlite/migrations/count_tables.sql");

/// The mark in the header of our files.
const APPLICATION_ID: i64 = 0x506F_7374;

/// Applies what is missing and returns the names of what was applied. All of it happens, or nothing.
pub(super) fn apply(connection: &mut Connection) -> Result<Vec<String>> {
    if is_current(connection) {
        return Ok(Vec::new());
    }
    let act = "cannot bring the database up to date";
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| to_error(act, error))?;
    refuse_foreign_database(&transaction)?;
    transaction
        .execute(CREATE_TABLE, [])
        .map_err(|error| to_error(act, error))?;
    let applied = applied(&transaction).map_err(|error| to_error(act, error))?;
    refuse_newer(applied)?;
    let mut names = Vec::new();
    for step in MIGRATIONS.iter().filter(|step| step.number > applied) {
        run_migration(&transaction, step)
            .map_err(|error| to_error(&format!("{act}: {}", step.name), error))?;
        names.push(step.name.to_owned());
    }
    transaction.commit().map_err(|error| to_error(act, error))?;
    Ok(names)
}

/// The names of what [`apply`] would apply. Changes nothing.
pub(super) fn pending(connection: &Connection) -> Result<Vec<String>> {
    refuse_foreign_database(connection)?;
    let applied = applied(connection).unwrap_or_default();
    refuse_newer(applied)?;
    let missing = MIGRATIONS.iter().filter(|step| step.number > applied);
    Ok(missing.map(|step| step.name.to_owned()).collect())
}

/// The names of all steps, for a file that is not there yet.
pub(super) fn all_names() -> Vec<String> {
    MIGRATIONS.iter().map(|step| step.name.to_owned()).collect()
}

/// A look that needs no lock, so that a start beside a busy writer, or on a read-only file, does not wait.
fn is_current(connection: &Connection) -> bool {
    let newest = MIGRATIONS.last().map_or(0, |step| step.number);
    applied(connection).is_ok_and(|applied| applied == newest)
}

fn applied(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(APPLIED, [], |row| row.get(0))
}

fn run_migration(connection: &Connection, step: &Migration) -> rusqlite::Result<()> {
    connection.execute_batch(step.sql)?;
    connection.execute(INSERT_MIGRATION, rusqlite::params![step.number, step.name])?;
    Ok(())
}

fn refuse_foreign_database(connection: &Connection) -> Result<()> {
    let act = "cannot read the database";
    let mark = connection
        .pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0))
        .map_err(|error| to_error(act, error))?;
    let tables = connection
        .query_row(COUNT_TABLES, [], |row| row.get::<_, i64>(0))
        .map_err(|error| to_error(act, error))?;
    if mark == APPLICATION_ID || tables == 0 {
        return Ok(());
    }
    Err(Error::usage(
        "the database file belongs to another program: name another file in the store's URL",
    ))
}

fn refuse_newer(applied: i64) -> Result<()> {
    let newest = MIGRATIONS.last().map_or(0, |step| step.number);
    if applied <= newest {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!(
            "the database was written by a newer version (its schema is number {applied}, this program knows \
             {newest}): use that version, or go back to a backup"
        ),
    ))
}
