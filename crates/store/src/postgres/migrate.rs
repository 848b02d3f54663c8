//! Brings a database's schema up to what this program knows: numbered, forward only, each step once.
//!
//! Ten hosts may start at once: the first one takes a lock, the others wait for it and then find nothing left to
//! do. A database that knows more than this program, or belongs to another, is refused, never touched.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::errors::PgError;
use super::pool::{PgPool, PgTransaction, bind};
use super::rows;
use crate::migrate::Migration;
use postrider_core::clock;
use postrider_core::error::{Error, Result};

/// All steps, in order.
const MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "0001_schema",
    sql: sql!("postgres/migrations/0001_schema"),
}];

static LOCK_SCHEMA: &str = sql!("postgres/migrations/lock_schema");
static CREATE_TABLE: &str = sql!("postgres/migrations/create_table");
static APPLIED: &str = sql!("postgres/migrations/read_applied");
static INSERT_MIGRATION: &str = sql!("postgres/migrations/insert_applied");
static COUNT_TABLES: &str = sql!("postgres/migrations/count_tables");

static SET_LOCK_TIMEOUT: &str = sql!("postgres/maintenance/set_lock_timeout");

/// How long a table that is in use is left alone before it is asked for again.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(500);

/// The lock whoever changes the schema holds.
const SCHEMA_LOCK: i64 = 0x506F_7374_0001;

/// What was found, and what came of it.
enum SchemaStatus {
    Applied(Vec<String>),
    Pending(Vec<String>),
    Newer(i64),
    Foreign,
}

/// Applies what is missing and returns the names of what was applied. All of it happens, or nothing. Asks for tables
/// that are in use again and again: whoever waits for one holds up everybody who comes later.
pub async fn apply(pool: &PgPool) -> Result<Vec<String>> {
    let mut has_warned = false;
    loop {
        match run_migrations(pool).await {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                if !has_warned {
                    log::warn!("the tables are in use; asking again until they can be changed");
                }
                has_warned = true;
                clock::sleep(LOCK_RETRY_DELAY).await;
            }
            found => return migration_names(found),
        }
    }
}

/// The names of what [`apply`] would apply. Changes nothing.
pub async fn pending(pool: &PgPool) -> Result<Vec<String>> {
    let found = async {
        let transaction = pool.begin_read().await?;
        let found = schema_status(&transaction).await;
        transaction.finish(found).await
    };
    migration_names(found.await)
}

fn migration_names(found: Result<SchemaStatus, PgError>) -> Result<Vec<String>> {
    let context = "cannot bring the database up to date";
    match found.map_err(|error| error.to_error(context))? {
        SchemaStatus::Applied(names) | SchemaStatus::Pending(names) => Ok(names),
        SchemaStatus::Foreign => Err(Error::usage(
            "the database has tables of another program in it: name a database of its own in the store's URL",
        )),
        SchemaStatus::Newer(applied) => Err(Error::usage(format!(
            "the database was written by a newer version (its schema is number {applied}, this program knows \
             {}): use that version, or go back to a backup",
            newest_number()
        ))),
    }
}

fn newest_number() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

async fn run_migrations(pool: &PgPool) -> Result<SchemaStatus, PgError> {
    let transaction = pool.begin_write().await?;
    let outcome = apply_pending(&transaction).await;
    transaction.finish(outcome).await
}

async fn apply_pending(transaction: &PgTransaction) -> Result<SchemaStatus, PgError> {
    transaction.query(LOCK_SCHEMA, bind![SCHEMA_LOCK]).await?;
    let names = match schema_status(transaction).await? {
        SchemaStatus::Pending(names) if !names.is_empty() => names,
        found => return Ok(found),
    };
    transaction.batch_execute(SET_LOCK_TIMEOUT).await?;
    transaction.batch_execute(CREATE_TABLE).await?;
    for migration in MIGRATIONS
        .iter()
        .filter(|migration| names.iter().any(|name| name == migration.name))
    {
        transaction.batch_execute(migration.sql).await?;
        transaction
            .execute(INSERT_MIGRATION, bind![migration.number, migration.name])
            .await?;
    }
    Ok(SchemaStatus::Applied(names))
}

async fn schema_status(transaction: &PgTransaction) -> Result<SchemaStatus, PgError> {
    let row = transaction.query_one(COUNT_TABLES, &[]).await?;
    let (tables, ours) = (rows::get::<i64>(&row, 0)?, rows::get::<i64>(&row, 1)?);
    if ours == 0 && tables > 0 {
        return Ok(SchemaStatus::Foreign);
    }
    let applied = if ours == 0 {
        0
    } else {
        rows::get(&transaction.query_one(APPLIED, &[]).await?, 0)?
    };
    if applied > newest_number() {
        return Ok(SchemaStatus::Newer(applied));
    }
    let missing = MIGRATIONS.iter().filter(|migration| migration.number > applied);
    Ok(SchemaStatus::Pending(
        missing.map(|migration| migration.name.to_owned()).collect(),
    ))
}
