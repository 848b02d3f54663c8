//! The conformance suite on SQLite, and tests of SQLite's own: locks, failures, migrations, backups, query plans.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rusqlite::Connection;

mod due;
mod failures;
mod files;
mod plans;

use super::{SqliteStore, write_transaction::WriteTransaction};
use crate::{MessageQuery, ReadStore, Store, conformance_tests, testing::fixtures::StoreOpener};

/// Returns an opener of an empty database in a folder of its own, which is deleted with the opener.
fn fresh_database() -> StoreOpener {
    let folder = tempfile::tempdir().unwrap();
    Box::new(move || {
        let file = folder.path().join("postrider.db");
        Arc::new(SqliteStore::open(&file, Duration::from_secs(30)).unwrap()) as Arc<dyn Store>
    })
}

conformance_tests!(super::fresh_database);

/// A store in a folder of its own, with access to its internals.
struct TestStore {
    folder: tempfile::TempDir,
    store: SqliteStore,
}

impl TestStore {
    fn new() -> Self {
        Self::with_lock_timeout(Duration::from_secs(30))
    }

    fn with_lock_timeout(lock_timeout: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("postrider.db"), lock_timeout).unwrap();
        Self { folder, store }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("postrider.db")
    }

    /// Opens the file as another program does.
    fn foreign_connection(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }

    async fn pragma(&self, sql: &'static str) {
        let work = move |transaction: &mut WriteTransaction<'_>| {
            let statement = transaction.statement(sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        self.store.write("set a pragma", work).await.unwrap();
    }

    async fn count(&self) -> usize {
        let query = MessageQuery { limit: 10_000, ..MessageQuery::default() };
        self.store.search(query).await.unwrap().messages.len()
    }
}
