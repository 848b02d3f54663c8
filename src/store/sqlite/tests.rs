//! The contract, and what is SQLite's alone: locks, failures, migrations, copies.

use std::sync::Arc;
use std::time::Duration;

use super::SqliteStore;
use crate::store::Store;
use crate::store::contract::contract;
use crate::store::contract::world::Opener;

/// A database in a folder of its own, which goes with the opener.
fn fresh() -> Opener {
    let folder = tempfile::tempdir().unwrap();
    Box::new(move || {
        let file = folder.path().join("postrider.db");
        Arc::new(SqliteStore::open(&file, Duration::from_secs(30)).unwrap()) as Arc<dyn Store>
    })
}

contract!(super::fresh);
