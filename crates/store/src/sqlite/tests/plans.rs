//! Query plans of all statements of SQLite: none scans a table that grows. Parameters of the common statements.

use std::path::{Path, PathBuf};

use super::*;

/// Tables that grow with every message or user.
const GROWING_TABLES: [&str; 12] = [
    "messages",
    "deliveries",
    "attempts",
    "idempotency_keys",
    "unmatched_receipts",
    "recipients",
    "address_counts",
    "events",
    "inbound_messages",
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
const SMALL_INDEXES: [&str; 7] = [
    "INDEX deliveries_due",
    "INDEX deliveries_rollup_pending",
    "INDEX deliveries_unrecorded",
    "INDEX address_counts_count",
    "INDEX events_due",
    "INDEX events_dead",
    "sqlite_autoindex",
];

/// Returns the steps of the query plan of a statement.
pub fn query_plan(connection: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.raw_query().mapped(|row| row.get("detail"));
    steps.collect::<Result<_, _>>().unwrap()
}

/// Returns the statement files below `sql/<folder>`, each with its path as `<subject>/<name>.sql`.
fn statement_files(folder: &str) -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql").join(folder);
    let entries = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let subjects = entries(&root).collect::<Vec<_>>();
    let files = subjects.iter().flat_map(|subject| entries(subject));
    files
        .map(|file| (file.strip_prefix(&root).unwrap().to_string_lossy().into_owned(), file.clone()))
        .collect()
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
    let mut checked_count = 0;
    let mut scans = Vec::new();
    for (name, file) in [statement_files("sqlite"), statement_files("common")].concat() {
        let is_exempt =
            name != REPEATED_STATEMENT && EXEMPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if is_exempt {
            continue;
        }
        checked_count += 1;
        let steps = query_plan(&connection, &std::fs::read_to_string(file).unwrap());
        let full_scans = steps.iter().filter(|step| is_full_scan(step));
        scans.extend(full_scans.map(|step| format!("{name}: {step}")));
    }
    assert!(checked_count > 50, "{checked_count} statements");
    assert_eq!(scans, Vec::<String>::new());
}

#[test]
fn statements_of_both_backends_use_their_parameters_in_order() {
    let fixture = TestStore::new();
    let connection = fixture.foreign_connection();
    for (name, file) in statement_files("common") {
        let sql = std::fs::read_to_string(file).unwrap();
        if sql.contains('{') || sql.contains("copy_progress") || sql.contains("copy_changes") {
            assert!(name.starts_with("copy/"), "{name} has a placeholder or belongs to a move");
            continue;
        }
        let statement = connection.prepare(&sql).unwrap();
        for index in 1..=statement.parameter_count() {
            let expected = format!("${index}");
            assert_eq!(statement.parameter_name(index), Some(expected.as_str()), "{name}");
        }
    }
}
