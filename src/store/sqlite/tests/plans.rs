//! How SQLite means to run every statement: no table that grows is read from one end to the other.

use std::path::Path;

use super::*;

/// Tables with a row, or more than one, for each message.
const GROWING: [&str; 11] = [
    "messages",
    "deliveries",
    "attempts",
    "keys",
    "receipts",
    "recipients",
    "addresses",
    "events",
    "users",
    "broadcast_users",
    "broadcast_messages",
];

/// Of what belongs to a move, that which is asked for again and again while a store is in use.
const IN_HAND: &str = "move_in_hand.sql";

/// Statements that say what all of a table is for, that belong to the schema or to a move, or that stop after a limited
/// number of rows.
const EXEMPT: [&str; 8] = [
    "patience",
    "move_",
    "unfold_",
    "migrate_",
    "accept_anyone",
    "report_top",
    "search_waiting_near",
    "settle_waiting",
];

/// Indexes that hold what waits, what changed, or who stands for many, and nothing else: reading one of them from one
/// end to the other is what is meant. The last is the order of a primary key, out of which a page is read.
const SHORT: [&str; 6] = [
    "INDEX deliveries_due",
    "INDEX deliveries_recount",
    "INDEX addresses_count",
    "INDEX events_due",
    "INDEX events_dead",
    "sqlite_autoindex",
];

fn plan(connection: &rusqlite::Connection, file: &Path) -> Vec<String> {
    let sql = std::fs::read_to_string(file).unwrap();
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut found = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = found.next().unwrap() {
        steps.push(row.get::<_, String>(3).unwrap());
    }
    steps
}

fn walks(step: &str) -> bool {
    let Some(rest) = step.strip_prefix("SCAN ") else {
        return false;
    };
    let alias = rest.split(' ').next().unwrap_or_default();
    let grows = GROWING.contains(&alias) || ["d", "m", "a", "e"].contains(&alias);
    grows && !SHORT.iter().any(|index| rest.contains(index))
}

#[test]
fn no_statement_walks_through_a_table_that_grows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    drop(SqliteStore::open(&file, Duration::from_secs(30)).unwrap());
    let connection = rusqlite::Connection::open(&file).unwrap();
    let statements = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite")).unwrap();
    let mut seen = 0;
    let mut faults = Vec::new();
    for file in statements.map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let is_exempt = name != IN_HAND && EXEMPT.iter().any(|start| name.starts_with(start));
        if !file.is_file() || is_exempt {
            continue;
        }
        seen += 1;
        let steps = plan(&connection, &file);
        let walked = steps.iter().filter(|step| walks(step));
        faults.extend(walked.map(|step| format!("{name}: {step}")));
    }
    assert!(seen > 50, "{seen} statements");
    assert_eq!(faults, Vec::<String>::new());
}
