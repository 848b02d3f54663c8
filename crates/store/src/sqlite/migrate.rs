//! Brings the schema of a file up to date: numbered migrations, forward only, each applied once.
//!
//! Several processes may start at once: the first process takes the write lock; the others wait for the lock and find no
//! missing migration. A database with a newer schema, or of another program, is refused and not changed.

use rusqlite::{Connection, TransactionBehavior};

use super::errors::to_error;
use crate::migration::{self, FIRST_MIGRATION, Migration};
use crate::rows::SqlRow;
use postrider_core::error::{Error, Result};

/// All migrations, in order.
const MIGRATIONS: &[Migration] =
    &[Migration { number: 1, name: FIRST_MIGRATION, sql: sql!("sqlite/migrations/0001_schema") }];

const CREATE_TABLE: &str = sql!("sqlite/migrations/create_table");
const APPLIED_MIGRATIONS: &str = sql!("sqlite/migrations/read_applied");
const INSERT_MIGRATION: &str = sql!("common/migrations/insert_applied");
const COUNT_TABLES: &str = sql!("sqlite/migrations/count_tables");

/// The mark in the header of our files: "Post" in ASCII.
const APPLICATION_ID: i64 = 0x506F_7374;

const ERROR_CONTEXT: &str = "cannot bring the database up to date";

/// Applies the missing migrations in one transaction and returns their names.
pub fn apply(connection: &mut Connection) -> Result<Vec<String>> {
    if is_current(connection) {
        return Ok(Vec::new());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(to_error(ERROR_CONTEXT))?;
    refuse_foreign_database(&transaction)?;
    transaction.execute(CREATE_TABLE, []).map_err(to_error(ERROR_CONTEXT))?;
    let applied_number = read_applied_number(&transaction).map_err(to_error(ERROR_CONTEXT))?;
    migration::refuse_newer(applied_number, newest_number())?;
    for migration in missing_migrations(applied_number) {
        run_migration(&transaction, migration)
            .map_err(to_error(&format!("{ERROR_CONTEXT}: {}", migration.name)))?;
    }
    transaction.commit().map_err(to_error(ERROR_CONTEXT))?;
    Ok(missing_names(applied_number))
}

/// Returns the names of the migrations that [`apply`] would apply. Changes nothing.
pub fn pending_names(connection: &Connection) -> Result<Vec<String>> {
    refuse_foreign_database(connection)?;
    let applied_number = read_applied_number(connection).unwrap_or_default();
    migration::refuse_newer(applied_number, newest_number())?;
    Ok(missing_names(applied_number))
}

/// Returns the names of all migrations, for a file that does not exist yet.
pub fn all_names() -> Vec<String> {
    missing_names(0)
}

fn newest_number() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

fn missing_migrations(applied_number: i64) -> impl Iterator<Item = &'static Migration> {
    MIGRATIONS.iter().filter(move |migration| migration.number > applied_number)
}

fn missing_names(applied_number: i64) -> Vec<String> {
    missing_migrations(applied_number).map(|migration| migration.name.to_owned()).collect()
}

/// Returns whether the schema is up to date. Needs no lock, so that a start beside a busy writer, or on a read-only
/// file, does not wait.
fn is_current(connection: &Connection) -> bool {
    read_applied_number(connection).is_ok_and(|applied_number| applied_number == newest_number())
}

fn read_applied_number(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(APPLIED_MIGRATIONS, [], |row| row.integer("number"))
}

fn run_migration(connection: &Connection, migration: &Migration) -> rusqlite::Result<()> {
    connection.execute_batch(migration.sql)?;
    connection.execute(INSERT_MIGRATION, rusqlite::params![migration.number, migration.name]).map(drop)
}

fn refuse_foreign_database(connection: &Connection) -> Result<()> {
    let context = "cannot read the database";
    let application_id = connection
        .pragma_query_value(None, "application_id", |row| row.integer("application_id"))
        .map_err(to_error(context))?;
    let table_count =
        connection.query_row(COUNT_TABLES, [], |row| row.integer("count")).map_err(to_error(context))?;
    if application_id == APPLICATION_ID || table_count == 0 {
        return Ok(());
    }
    Err(Error::usage("the database file belongs to another program: name another file in the store's URL"))
}
