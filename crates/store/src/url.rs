//! Where a store is: reads the URL, opens the backend it names, brings its schema up to date.
//!
//! The only place that chooses between backends. Makes no folder and no database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Store, postgres, sqlite};
use postrider_core::error::{Error, Result};

/// How long a store waits for another process that holds its lock, unless the configuration says otherwise.
pub const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an operator who asked for it lets a server's schema be brought up to date.
pub const MIGRATION_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// How many connections a process opens to a server at most, unless the configuration says otherwise.
pub const DEFAULT_CONNECTIONS_MAX: usize = 16;

/// Where a store is and how it is used.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions<'a> {
    /// Where the truth is.
    pub url: &'a str,
    /// Where a copy is that reads which may be old can go to.
    pub replica_url: Option<&'a str>,
    /// The most connections to each server.
    pub connections_max: usize,
    /// How long another process that holds the lock is waited for.
    pub lock_timeout: Duration,
}

impl<'a> StoreOptions<'a> {
    /// A place without a copy.
    pub fn new(url: &'a str, lock_wait: Duration) -> Self {
        Self {
            url,
            replica_url: None,
            connections_max: DEFAULT_CONNECTIONS_MAX,
            lock_timeout: lock_wait,
        }
    }
}

/// Opens the store a URL names and brings its schema up to date. Blocks while it does.
pub fn open(url: &str, lock_wait: Duration) -> Result<Arc<dyn Store>> {
    open_with(&StoreOptions::new(url, lock_wait))
}

/// The same with all that can be said of it.
pub fn open_with(place: &StoreOptions<'_>) -> Result<Arc<dyn Store>> {
    if is_postgres_url(place.url) {
        return Ok(Arc::new(postgres::PostgresStore::open(place)?));
    }
    if place.replica_url.is_some() {
        return Err(Error::usage(
            "store.replica_url is for a store on PostgreSQL: leave it out, or name the server in store.url",
        ));
    }
    let store = sqlite::SqliteStore::open(database_file(place.url)?, place.lock_timeout)?;
    Ok(Arc::new(store))
}

/// Whether a replica's URL names one that answers. Nothing depends on it: without it the store itself is asked.
pub async fn check_replica(url: &str) -> Result<()> {
    postgres::check_replica(url).await
}

/// Brings the schema of the store a URL names up to date; returns the names of what was applied. On a server the work
/// itself may take [`MIGRATION_LIMIT`]: a large store is read once by some steps.
pub fn migrate(url: &str, lock_wait: Duration) -> Result<Vec<String>> {
    if is_postgres_url(url) {
        return postgres::migrate(url, MIGRATION_TIMEOUT);
    }
    sqlite::migrate(database_file(url)?, lock_wait)
}

/// The names of what [`migrate`] would apply to the store a URL names, which may not be there yet. Changes nothing.
pub fn pending_migrations(url: &str, lock_wait: Duration) -> Result<Vec<String>> {
    if is_postgres_url(url) {
        return postgres::pending_migrations(url, lock_wait);
    }
    sqlite::pending_migrations(database_file(url)?, lock_wait)
}

pub(super) fn is_postgres_url(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// The folder that a store's file is to be in and that is not there; none where nothing is known to be missing.
pub fn missing_folder(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("sqlite:")?;
    let folder = Path::new(path.strip_prefix("//").unwrap_or(path)).parent()?;
    (!folder.as_os_str().is_empty() && !folder.is_dir()).then_some(folder)
}

/// The file a store's URL names.
pub(super) fn database_file(url: &str) -> Result<&Path> {
    let path = url.strip_prefix("sqlite:").ok_or_else(|| {
        Error::usage(
            "the store's URL must begin with \"sqlite:\" or \"postgres://\", for example sqlite:postrider.db",
        )
    })?;
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err(Error::usage(
            "the store's URL names no file: write it as sqlite:PATH, for example sqlite:postrider.db",
        ));
    }
    if path.starts_with(':') {
        return Err(Error::usage(
            "a store in memory would lose messages: name a file, for example sqlite:postrider.db",
        ));
    }
    let path = Path::new(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(Error::usage(format!(
            "the store's folder {} does not exist: create it, or name another in the store's URL",
            folder.display()
        ))),
        _ => Ok(path),
    }
}
