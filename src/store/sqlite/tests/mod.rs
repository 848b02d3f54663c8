//! The contract, and what is SQLite's alone: locks, failures, migrations, copies.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

mod due;
mod files;
mod plans;
mod trouble;

use super::SqliteStore;
use super::desk::Desk;
use crate::store::contract::contract;
use crate::store::contract::world::Opener;
use crate::store::{Query, Store};

/// A database in a folder of its own, which goes with the opener.
fn fresh() -> Opener {
    let folder = tempfile::tempdir().unwrap();
    Box::new(move || {
        let file = folder.path().join("postrider.db");
        Arc::new(SqliteStore::open(&file, Duration::from_secs(30)).unwrap()) as Arc<dyn Store>
    })
}

contract!(super::fresh);

/// A store whose inside the tests can reach, in a folder of its own.
struct Bench {
    folder: tempfile::TempDir,
    store: SqliteStore,
}

impl Bench {
    fn new() -> Self {
        Self::waiting_for_locks(Duration::from_secs(30))
    }

    fn waiting_for_locks(lock_wait: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("postrider.db"), lock_wait).unwrap();
        Self { folder, store }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("postrider.db")
    }

    /// As another program would open the file.
    fn stranger(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }

    async fn pragma(&self, sql: &'static str) {
        let work = move |desk: &mut Desk<'_>| {
            let statement = desk.statement(sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        self.store.writer.run("set a pragma", work).await.unwrap();
    }

    async fn count(&self) -> usize {
        let query = Query {
            limit: 10_000,
            ..Query::default()
        };
        self.store.search(query).await.unwrap().messages.len()
    }
}
