//! How SQLite means to run every statement: no table that grows is read from one end to the other.

use std::path::Path;

use super::*;

/// Tables with a row, or more than one, for each message.
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

/// Of what belongs to a move, that which is asked for again and again while a store is in use.
const LEASED_STATEMENT: &str = "copy/count_open_rounds.sql";

/// Statements that say what all of a table is for, that belong to the schema or to a move, or that stop after the first
/// few rows.
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

/// Indexes that hold what waits, what changed, or who stands for many, and nothing else: reading one of them from one
/// end to the other is what is meant. The last is the order of a primary key, out of which a page is read.
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
fn no_statement_walks_through_a_table_that_grows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    drop(SqliteStore::open(&file, Duration::from_secs(30)).unwrap());
    let connection = rusqlite::Connection::open(&file).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql/sqlite");
    let subjects = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let statements = subjects.flat_map(|subject| std::fs::read_dir(subject).unwrap());
    let mut seen = 0;
    let mut faults = Vec::new();
    for file in statements.map(|entry| entry.unwrap().path()) {
        let name = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let is_exempt =
            name != LEASED_STATEMENT && EXEMPT_PREFIXES.iter().any(|start| name.starts_with(start));
        if !file.is_file() || is_exempt {
            continue;
        }
        seen += 1;
        let steps = query_plan(&connection, &file);
        let walked = steps.iter().filter(|step| is_full_scan(step));
        faults.extend(walked.map(|step| format!("{name}: {step}")));
    }
    assert!(seen > 50, "{seen} statements");
    assert_eq!(faults, Vec::<String>::new());
}
