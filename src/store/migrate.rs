//! Brings a database's schema up to what this program knows: numbered, forward only, each step once.
//!
//! Several processes may start at once: the first one takes the write lock, the others wait for it and then
//! find nothing left to do. A database that knows more than this program is refused, never touched.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, Kind, Result};

use super::sqlite::fault::fault;

/// One step of a schema, of whatever dialect.
pub(super) struct Migration {
    pub number: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

/// All steps, in order.
const SQLITE: &[Migration] = &[
    Migration {
        number: 1,
        name: "0001_begin",
        sql: include_str!("../../sql/sqlite/migrations/0001_begin.sql"),
    },
    Migration {
        number: 2,
        name: "0002_fleet",
        sql: include_str!("../../sql/sqlite/migrations/0002_fleet.sql"),
    },
    Migration {
        number: 3,
        name: "0003_due_by_channel",
        sql: include_str!("../../sql/sqlite/migrations/0003_due_by_channel.sql"),
    },
    Migration {
        number: 4,
        name: "0004_user_throttles",
        sql: include_str!("../../sql/sqlite/migrations/0004_user_throttles.sql"),
    },
    Migration {
        number: 7,
        name: "0007_contacts",
        sql: include_str!("../../sql/sqlite/migrations/0007_contacts.sql"),
    },
    Migration {
        number: 9,
        name: "0009_events",
        sql: include_str!("../../sql/sqlite/migrations/0009_events.sql"),
    },
    Migration {
        number: 10,
        name: "0010_usage",
        sql: include_str!("../../sql/sqlite/migrations/0010_usage.sql"),
    },
    Migration {
        number: 11,
        name: "0011_opting",
        sql: include_str!("../../sql/sqlite/migrations/0011_opting.sql"),
    },
    Migration {
        number: 12,
        name: "0012_orders",
        sql: include_str!("../../sql/sqlite/migrations/0012_orders.sql"),
    },
    Migration {
        number: 13,
        name: "0013_broadcasts",
        sql: include_str!("../../sql/sqlite/migrations/0013_broadcasts.sql"),
    },
];

const TABLE: &str = include_str!("../../sql/sqlite/migrate_table.sql");
const APPLIED: &str = include_str!("../../sql/sqlite/migrate_applied.sql");
const NOTE: &str = include_str!("../../sql/sqlite/migrate_note.sql");
const FOREIGN: &str = include_str!("../../sql/sqlite/migrate_foreign.sql");

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
        .map_err(|error| fault(act, error))?;
    refuse_strangers(&transaction)?;
    transaction
        .execute(TABLE, [])
        .map_err(|error| fault(act, error))?;
    let applied = applied(&transaction).map_err(|error| fault(act, error))?;
    refuse_newer(applied)?;
    let mut names = Vec::new();
    for step in SQLITE.iter().filter(|step| step.number > applied) {
        run(&transaction, step).map_err(|error| fault(&format!("{act}: {}", step.name), error))?;
        names.push(step.name.to_owned());
    }
    transaction.commit().map_err(|error| fault(act, error))?;
    Ok(names)
}

/// The names of what [`apply`] would apply. Changes nothing.
pub(super) fn missing(connection: &Connection) -> Result<Vec<String>> {
    refuse_strangers(connection)?;
    let applied = applied(connection).unwrap_or_default();
    refuse_newer(applied)?;
    let missing = SQLITE.iter().filter(|step| step.number > applied);
    Ok(missing.map(|step| step.name.to_owned()).collect())
}

/// The names of all steps, for a file that is not there yet.
pub(super) fn all() -> Vec<String> {
    SQLITE.iter().map(|step| step.name.to_owned()).collect()
}

/// A look that needs no lock, so that a start beside a busy writer, or on a read-only file, does not wait.
fn is_current(connection: &Connection) -> bool {
    let newest = SQLITE.last().map_or(0, |step| step.number);
    applied(connection).is_ok_and(|applied| applied == newest)
}

fn applied(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(APPLIED, [], |row| row.get(0))
}

fn run(connection: &Connection, step: &Migration) -> rusqlite::Result<()> {
    connection.execute_batch(step.sql)?;
    connection.execute(NOTE, rusqlite::params![step.number, step.name])?;
    Ok(())
}

fn refuse_strangers(connection: &Connection) -> Result<()> {
    let act = "cannot read the database";
    let mark = connection
        .pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0))
        .map_err(|error| fault(act, error))?;
    let tables = connection
        .query_row(FOREIGN, [], |row| row.get::<_, i64>(0))
        .map_err(|error| fault(act, error))?;
    if mark == APPLICATION_ID || tables == 0 {
        return Ok(());
    }
    Err(Error::usage(
        "the database file belongs to another program: name another file in the store's URL",
    ))
}

fn refuse_newer(applied: i64) -> Result<()> {
    let newest = SQLITE.last().map_or(0, |step| step.number);
    if applied <= newest {
        return Ok(());
    }
    Err(Error::new(
        Kind::Usage,
        format!(
            "the database was written by a newer version (its schema is number {applied}, this program knows \
             {newest}): use that version, or go back to a backup"
        ),
    ))
}
