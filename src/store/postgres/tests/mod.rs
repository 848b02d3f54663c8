//! The contract, and what is PostgreSQL's alone: several hosts at once, a server that goes away.

use std::sync::Arc;
use std::time::Duration;

use super::PostgresStore;
use crate::databases::database;
use crate::store::Store;
use crate::store::contract::contract;
use crate::store::contract::world::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// A database of its own.
fn fresh() -> Opener {
    let url = database();
    Box::new(move || Arc::new(PostgresStore::open(&url, PATIENCE).unwrap()) as Arc<dyn Store>)
}

contract!(super::fresh);
