//! Query plans of all SQLite statements: none scans a table that grows.

use std::path::Path;

use super::*;

/// Tables that grow with every message or user.
const GROWING_TABLES: [&str; 11] = [
    "messages",
    "deliveries",
    "attempts",
    "idempotency_keys",
    "unmatched_receipts",
    "recipients",
    "address_counts",
    "events",
    "users",
    "broadcast_users",
    "broadcast_messages",
];

/// The statement of a move that runs repeatedly while the store is in use.
const REPEATED_STATEMENT: &str = "copy/count_open_rounds.sql";

/// Statements that need a whole table, that belong to the schema or to a move, or that stop after a few rows.
const EXEMPT_PREFIXES: [&str; 8] = [
    "copy/",
    "migrations/",
    "maintenance/set_lock_timeout",
    "report/clear_",
    "accept/check_recipients_exist",
    "report/select_top_addresses",
    "read/search_recent_waiting",
    "receipts/count_unmatched_receipts",
];

/// Indexes of waiting or changed rows or of frequent addresses, which statements may scan. The last one is the index of a
/// primary key, of which a statement reads a page.
const SMALL_INDEXES: [&str; 6] = [
    "INDEX deliveries_due",
    "INDEX deliveries_rollup_pending",
    "INDEX address_counts_count",
    "INDEX events_due",
    "INDEX events_dead",
    "sqlite_autoindex",
];

fn query_plan(connection: &rusqlite::Connection, file: &Path) -> Vec<String> {
    let sql = std::fs::read_to_string(file).unwrap();
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut found = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = found.next().unwrap() {
        steps.push(row.get::<_, String>(3).unwrap());
    }
    steps
}

fn is_full_scan(step: &str) -> bool {
    let Some(rest) = step.strip_prefix("SCAN ") else {
        return false;
    };
    let alias = rest.split(' ').next().unwrap_or_default();
    let grows = GROWING_TABLES.contains(&alias) || ["d", "m", "a", "e"].contains(&alias);
    grows && !SMALL_INDEXES.iter().any(|index| rest.contains(index))
}

#[test]
fn no_statement_scans_a_growing_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    drop(SqliteStore::open(&file, Duration::from_secs(30)).unwrap());
    let connection = rusqlite::Connection::open(&file).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql/sqlite");
    let subjects = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let statements = subjects.flat_map(|subject| std::fs::read_dir(subject).unwrap());
    let mut seen = 0;
    let mut scans = Vec::new();
    for file in statements.map(|entry| entry.unwrap().path()) {
        let name = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let is_exempt =
            name != REPEATED_STATEMENT && EXEMPT_PREFIXES.iter().any(|start| name.starts_with(start));
        if !file.is_file() || is_exempt {
            continue;
        }
        seen += 1;
        let steps = query_plan(&connection, &file);
        let full_scans = steps.iter().filter(|step| is_full_scan(step));
        scans.extend(full_scans.map(|step| format!("{name}: {step}")));
    }
    assert!(seen > 50, "{seen} statements");
    assert_eq!(scans, Vec::<String>::new());
}
