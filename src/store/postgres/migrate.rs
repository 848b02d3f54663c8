//! Brings a database's schema up to what this program knows: numbered, forward only, each step once.
//!
//! Ten hosts may start at once: the first one takes a lock, the others wait for it and then find nothing left to
//! do. A database that knows more than this program, or belongs to another, is refused, never touched.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::fault::Trouble;
use super::link::{Desk, Link, bind};
use super::rows;
use crate::clock;
use crate::error::{Error, Result};
use crate::store::migrate::Migration;

/// All steps, in order.
const STEPS: &[Migration] = &[
    Migration {
        number: 1,
        name: "0001_begin",
        sql: include_str!("../../../sql/postgres/migrations/0001_begin.sql"),
    },
    Migration {
        number: 2,
        name: "0002_fleet",
        sql: include_str!("../../../sql/postgres/migrations/0002_fleet.sql"),
    },
    Migration {
        number: 3,
        name: "0003_due_by_channel",
        sql: include_str!("../../../sql/postgres/migrations/0003_due_by_channel.sql"),
    },
    Migration {
        number: 4,
        name: "0004_user_throttles",
        sql: include_str!("../../../sql/postgres/migrations/0004_user_throttles.sql"),
    },
    Migration {
        number: 5,
        name: "0005_months",
        sql: include_str!("../../../sql/postgres/migrations/0005_months.sql"),
    },
    Migration {
        number: 7,
        name: "0007_contacts",
        sql: include_str!("../../../sql/postgres/migrations/0007_contacts.sql"),
    },
    Migration {
        number: 8,
        name: "0008_leases",
        sql: include_str!("../../../sql/postgres/migrations/0008_leases.sql"),
    },
    Migration {
        number: 9,
        name: "0009_events",
        sql: include_str!("../../../sql/postgres/migrations/0009_events.sql"),
    },
    Migration {
        number: 10,
        name: "0010_usage",
        sql: include_str!("../../../sql/postgres/migrations/0010_usage.sql"),
    },
    Migration {
        number: 11,
        name: "0011_opting",
        sql: include_str!("../../../sql/postgres/migrations/0011_opting.sql"),
    },
    Migration {
        number: 12,
        name: "0012_orders",
        sql: include_str!("../../../sql/postgres/migrations/0012_orders.sql"),
    },
    Migration {
        number: 13,
        name: "0013_broadcasts",
        sql: include_str!("../../../sql/postgres/migrations/0013_broadcasts.sql"),
    },
];

static LOCK: &str = include_str!("../../../sql/postgres/migrate_lock.sql");
static TABLE: &str = include_str!("../../../sql/postgres/migrate_table.sql");
static APPLIED: &str = include_str!("../../../sql/postgres/migrate_applied.sql");
static NOTE: &str = include_str!("../../../sql/postgres/migrate_note.sql");
static FOREIGN: &str = include_str!("../../../sql/postgres/migrate_foreign.sql");

static PATIENCE: &str = include_str!("../../../sql/postgres/patience.sql");

/// How long a table that is in use is left alone before it is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The lock whoever changes the schema holds.
const SCHEMA_LOCK: i64 = 0x506F_7374_0001;

/// What was found, and what came of it.
enum Found {
    Applied(Vec<String>),
    Missing(Vec<String>),
    Newer(i64),
    Foreign,
}

/// Applies what is missing and returns the names of what was applied. All of it happens, or nothing. Asks for tables
/// that are in use again and again: whoever waits for one holds up everybody who comes later.
pub async fn apply(link: &Link) -> Result<Vec<String>> {
    let mut has_told = false;
    loop {
        match run(link).await {
            Err(trouble) if trouble.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                if !has_told {
                    log::warn!("the tables are in use; asking again until they can be changed");
                }
                has_told = true;
                clock::pause(ASK_AGAIN).await;
            }
            found => return names(found),
        }
    }
}

/// The names of what [`apply`] would apply. Changes nothing.
pub async fn missing(link: &Link) -> Result<Vec<String>> {
    let found = async {
        let desk = link.read().await?;
        let found = look(&desk).await;
        desk.end(found).await
    };
    names(found.await)
}

fn names(found: Result<Found, Trouble>) -> Result<Vec<String>> {
    let act = "cannot bring the database up to date";
    match found.map_err(|trouble| trouble.fault(act))? {
        Found::Applied(names) | Found::Missing(names) => Ok(names),
        Found::Foreign => Err(Error::usage(
            "the database has tables of another program in it: name a database of its own in the store's URL",
        )),
        Found::Newer(applied) => Err(Error::usage(format!(
            "the database was written by a newer version (its schema is number {applied}, this program knows \
             {}): use that version, or go back to a backup",
            newest()
        ))),
    }
}

fn newest() -> i64 {
    STEPS.last().map_or(0, |step| step.number)
}

async fn run(link: &Link) -> Result<Found, Trouble> {
    let desk = link.write().await?;
    let outcome = steps(&desk).await;
    desk.end(outcome).await
}

async fn steps(desk: &Desk) -> Result<Found, Trouble> {
    desk.rows(LOCK, bind![SCHEMA_LOCK]).await?;
    let names = match look(desk).await? {
        Found::Missing(names) if !names.is_empty() => names,
        found => return Ok(found),
    };
    desk.script(PATIENCE).await?;
    desk.script(TABLE).await?;
    for step in STEPS
        .iter()
        .filter(|step| names.iter().any(|name| name == step.name))
    {
        desk.script(step.sql).await?;
        desk.run(NOTE, bind![step.number, step.name]).await?;
    }
    Ok(Found::Applied(names))
}

async fn look(desk: &Desk) -> Result<Found, Trouble> {
    let row = desk.one(FOREIGN, &[]).await?;
    let (tables, ours) = (rows::get::<i64>(&row, 0)?, rows::get::<i64>(&row, 1)?);
    if ours == 0 && tables > 0 {
        return Ok(Found::Foreign);
    }
    let applied = if ours == 0 {
        0
    } else {
        rows::get(&desk.one(APPLIED, &[]).await?, 0)?
    };
    if applied > newest() {
        return Ok(Found::Newer(applied));
    }
    let missing = STEPS.iter().filter(|step| step.number > applied);
    Ok(Found::Missing(missing.map(|step| step.name.to_owned()).collect()))
}
