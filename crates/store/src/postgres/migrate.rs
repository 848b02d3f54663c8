//! Applies the numbered migrations that a database lacks, in order, each once.
//!
//! Of several processes that start at once, one migrates; the others wait for its lock and find nothing to apply. A
//! database of a newer version or of another program is refused and not changed.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::advisory_locks::{AdvisoryLock, lock_exclusive};
use super::pool::{PgPool, PgTransaction, bind};
use super::{connection_config::ServerRole, errors::PgError};
use crate::migration::{FIRST_MIGRATION, Migration, refuse_newer};
use crate::rows::SqlRow;
use postrider_core::clock;
use postrider_core::error::{Error, ErrorKind, Result};

/// All migrations, in order.
const MIGRATIONS: &[Migration] =
    &[Migration { number: 1, name: FIRST_MIGRATION, sql: sql!("postgres/migrations/0001_schema") }];

static CREATE_TABLE: &str = sql!("postgres/migrations/create_table");
static READ_APPLIED: &str = sql!("postgres/migrations/read_applied");
static INSERT_APPLIED: &str = sql!("common/migrations/insert_applied");
static COUNT_TABLES: &str = sql!("postgres/migrations/count_tables");
static SET_LOCK_TIMEOUT: &str = sql!("postgres/maintenance/set_lock_timeout");

/// Delay before a migration tries again to lock tables that are in use.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(500);

const ERROR_CONTEXT: &str = "cannot bring the database up to date";

/// Result of comparing a database with [`MIGRATIONS`].
enum SchemaStatus {
    /// These migrations were applied.
    Applied(Vec<String>),
    /// These migrations are missing.
    Pending(Vec<String>),
    /// The newest migration of the database has this number, which is unknown here.
    Newer(i64),
    /// The database has tables of another program.
    Foreign,
}

/// Applies all missing migrations to a database and returns their names. Blocks the calling thread.
pub fn migrate(url: &str, timeout: Duration) -> Result<Vec<String>> {
    let pool = PgPool::new(url, ServerRole::Primary, 1)?;
    block_on_thread(timeout, async move { apply(&pool).await })
}

/// Returns the names of missing migrations. Blocks the calling thread.
pub fn pending_migrations(url: &str, timeout: Duration) -> Result<Vec<String>> {
    let pool = PgPool::new(url, ServerRole::Primary, 1)?;
    block_on_thread(timeout, async move { pending(&pool).await })
}

/// Runs work on a thread and a runtime of its own, so that it can be called inside and outside of a runtime.
pub fn block_on_thread<T: Send + 'static>(
    timeout: Duration,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let unavailable = |error| Error::with_source(ErrorKind::Unavailable, ERROR_CONTEXT, error);
    let run_work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome =
            runtime.map_err(unavailable)?.block_on(async { tokio::time::timeout(timeout, work).await });
        outcome.unwrap_or_else(|_| {
            let reason = "the database server, or another process that migrates, takes too long";
            Err(Error::new(ErrorKind::Unavailable, format!("{ERROR_CONTEXT}: {reason}")))
        })
    };
    let thread = std::thread::Builder::new().name("store-migrate".to_owned()).spawn(run_work);
    let panicked = |_| Error::new(ErrorKind::Internal, format!("{ERROR_CONTEXT}: its thread panicked"));
    thread.map_err(unavailable)?.join().map_err(panicked)?
}

/// Applies all missing migrations in one transaction and returns their names.
///
/// If a table is in use, the transaction stops waiting for its lock and starts again later, because a waiting schema
/// change would block every later transaction.
pub async fn apply(pool: &PgPool) -> Result<Vec<String>> {
    let mut has_warned = false;
    loop {
        match run_migrations(pool).await {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                if !has_warned {
                    log::warn!("cannot migrate while the tables are in use; trying until it succeeds");
                }
                has_warned = true;
                clock::sleep(LOCK_RETRY_DELAY).await;
            }
            status => return migration_names(status, pool),
        }
    }
}

async fn pending(pool: &PgPool) -> Result<Vec<String>> {
    let schema_status = async {
        let transaction = pool.begin_read().await?;
        let schema_status = read_schema_status(&transaction).await;
        transaction.finish(schema_status).await
    };
    migration_names(schema_status.await, pool)
}

fn migration_names(status: Result<SchemaStatus, PgError>, pool: &PgPool) -> Result<Vec<String>> {
    match status.map_err(|error| error.to_startup_error(ERROR_CONTEXT, &pool.server_list()))? {
        SchemaStatus::Applied(names) | SchemaStatus::Pending(names) => Ok(names),
        SchemaStatus::Foreign => Err(Error::usage(
            "the database contains tables of another program: name a database of its own in the store's URL",
        )),
        SchemaStatus::Newer(applied) => {
            refuse_newer(applied, newest_number())?;
            Ok(Vec::new())
        }
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
    lock_exclusive(transaction, AdvisoryLock::Schema).await?;
    let pending_names = match read_schema_status(transaction).await? {
        SchemaStatus::Pending(names) if !names.is_empty() => names,
        schema_status => return Ok(schema_status),
    };
    transaction.batch_execute(SET_LOCK_TIMEOUT).await?;
    transaction.batch_execute(CREATE_TABLE).await?;
    for migration in
        MIGRATIONS.iter().filter(|migration| pending_names.iter().any(|name| name == migration.name))
    {
        transaction.batch_execute(migration.sql).await?;
        transaction.execute(INSERT_APPLIED, bind![migration.number, migration.name]).await?;
    }
    Ok(SchemaStatus::Applied(pending_names))
}

async fn read_schema_status(transaction: &PgTransaction) -> Result<SchemaStatus, PgError> {
    let table_counts = transaction.query_one(COUNT_TABLES, &[]).await?;
    let has_migrations = table_counts.integer("migrations_count")? > 0;
    if !has_migrations && table_counts.integer("count")? > 0 {
        return Ok(SchemaStatus::Foreign);
    }
    let newest_applied =
        if has_migrations { transaction.query_one(READ_APPLIED, &[]).await?.integer("number")? } else { 0 };
    if newest_applied > newest_number() {
        return Ok(SchemaStatus::Newer(newest_applied));
    }
    let missing = MIGRATIONS.iter().filter(|migration| migration.number > newest_applied);
    Ok(SchemaStatus::Pending(missing.map(|migration| migration.name.to_owned()).collect()))
}
