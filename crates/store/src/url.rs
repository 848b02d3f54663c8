//! Store URLs: chooses the backend, opens it, and brings its schema up to date.
//!
//! Creates a missing SQLite file, but no folder and no PostgreSQL database. The crate `url` is not used: it resolves `..`
//! and percent-encodes blanks, which would change the path of a SQLite file, and `tokio-postgres` parses its URLs itself.

use std::{path::Path, sync::Arc, time::Duration};

use crate::migration::FIRST_MIGRATION;
use crate::options::{MIGRATION_TIMEOUT, StoreOptions};
use crate::{Store, postgres, sqlite};
use postrider_core::error::{Error, ErrorKind, Result};

/// Opens the store of a URL and brings its schema up to date. Blocks the thread meanwhile.
pub fn open(url: &str, lock_timeout: Duration) -> Result<Arc<dyn Store>> {
    open_with(&StoreOptions::new(url, lock_timeout))
}

/// Opens a store with all options and brings its schema up to date. Blocks the thread meanwhile.
pub fn open_with(store_options: &StoreOptions<'_>) -> Result<Arc<dyn Store>> {
    if is_postgres_url(store_options.url) {
        return Ok(Arc::new(postgres::PostgresStore::open(store_options)?));
    }
    if store_options.replica_url.is_some() {
        return Err(Error::usage(
            "store.replica_url is for a store on PostgreSQL: leave it out, or name the server in store.url",
        ));
    }
    Ok(Arc::new(sqlite::SqliteStore::open(database_file(store_options.url)?, store_options.lock_timeout)?))
}

/// Checks that a replica answers. A store without its replica works: it reads from the primary.
pub async fn check_replica(url: &str) -> Result<()> {
    postgres::check_replica(url).await
}

/// Brings the schema of a store up to date and returns the names of the applied migrations. On a server this may take up
/// to [`MIGRATION_TIMEOUT`], because some migrations read a large store once.
pub fn migrate(url: &str, lock_timeout: Duration) -> Result<Vec<String>> {
    if is_postgres_url(url) {
        return postgres::migrate(url, MIGRATION_TIMEOUT);
    }
    sqlite::migrate(database_file(url)?, lock_timeout)
}

/// Returns the names of the migrations that [`migrate`] would apply. Changes nothing; the store may not exist yet.
pub fn pending_migrations(url: &str, lock_timeout: Duration) -> Result<Vec<String>> {
    if is_postgres_url(url) {
        return postgres::pending_migrations(url, lock_timeout);
    }
    sqlite::pending_migrations(database_file(url)?, lock_timeout)
}

/// Returns the location of a store that was never created, or `None` if the store exists. Changes nothing.
///
/// A missing or empty SQLite file, and a PostgreSQL database without tables, count as never created.
pub fn missing_store(url: &str, lock_timeout: Duration) -> Result<Option<String>> {
    let is_missing = pending_migrations(url, lock_timeout)?.iter().any(|name| name == FIRST_MIGRATION);
    if !is_missing {
        return Ok(None);
    }
    if is_postgres_url(url) {
        return Ok(Some("the database has no tables of Postrider".to_owned()));
    }
    let database_file = std::path::absolute(database_file(url)?)
        .map_err(|error| Error::with_source(ErrorKind::Usage, "cannot find the working directory", error))?;
    let problem = if database_file.exists() { "is empty" } else { "does not exist" };
    Ok(Some(format!("{} {problem}", database_file.display())))
}

/// Returns whether a URL is for PostgreSQL.
pub(super) fn is_postgres_url(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Returns the path of a SQLite URL, which is written `sqlite:PATH` or `sqlite://PATH`.
fn sqlite_path(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    Some(path.strip_prefix("//").unwrap_or(path))
}

/// Returns the folder of a SQLite URL if the folder does not exist.
pub fn missing_folder(url: &str) -> Option<&Path> {
    let folder = Path::new(sqlite_path(url)?).parent()?;
    (!folder.as_os_str().is_empty() && !folder.is_dir()).then_some(folder)
}

/// Returns the file of a SQLite URL.
pub(super) fn database_file(url: &str) -> Result<&Path> {
    let database_path = sqlite_path(url).ok_or_else(|| {
        Error::usage(
            "the store's URL must begin with \"sqlite:\" or \"postgres://\", for example sqlite:postrider.db",
        )
    })?;
    if database_path.is_empty() || database_path.ends_with('/') || database_path.contains('\0') {
        return Err(Error::usage(
            "the store's URL names no file: write it as sqlite:PATH, for example sqlite:postrider.db",
        ));
    }
    if database_path.starts_with(':') {
        return Err(Error::usage(
            "a store in memory would lose messages: name a file, for example sqlite:postrider.db",
        ));
    }
    if let Some(folder) = missing_folder(url) {
        return Err(Error::usage(format!(
            "the store's folder {} does not exist: create it, or name another in the store's URL",
            folder.display()
        )));
    }
    Ok(Path::new(database_path))
}
