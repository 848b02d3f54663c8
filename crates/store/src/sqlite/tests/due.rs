//! How SQLite finds what is due: only the rows that are asked for, whatever else waits.

use rusqlite::Connection;

use super::TestStore;

static DUE: &str = include_str!("../../../../../sql/sqlite/claim/select_due.sql");
static DUE_CHANNELS: &str = include_str!("../../../../../sql/sqlite/claim/list_waiting_channels.sql");

fn query_plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let lines = statement.raw_query().mapped(|row| row.get("detail"));
    lines.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_channel_that_is_left_alone_is_not_walked_past() {
    let bench = TestStore::new();
    let due = query_plan(&bench.foreign_connection(), DUE);
    assert_eq!(due.len(), 1, "one search, no sorting: {due:?}");
    assert!(
        due[0].ends_with("INDEX deliveries_due (channel=? AND priority=? AND due_at<?)"),
        "{due:?}"
    );
    let channels = query_plan(&bench.foreign_connection(), DUE_CHANNELS);
    assert!(
        channels.iter().any(|line| line.ends_with("(channel>?)")),
        "{channels:?}"
    );
    let sorts = |line: &String| line.contains("TEMP B-TREE");
    assert!(!channels.iter().any(sorts), "{channels:?}");
}
