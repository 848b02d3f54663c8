//! Query plans of the search for due deliveries: it reads only the rows that it returns.

use rusqlite::Connection;

use super::TestStore;

static DUE: &str = sql!("sqlite/claim/select_due");
static WAITING_CHANNELS: &str = sql!("sqlite/claim/list_waiting_channels");

fn query_plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let lines = statement.raw_query().mapped(|row| row.get("detail"));
    lines.collect::<Result<_, _>>().unwrap()
}

#[test]
fn waiting_deliveries_of_other_channels_are_not_scanned() {
    let fixture = TestStore::new();
    let due = query_plan(&fixture.foreign_connection(), DUE);
    assert_eq!(due.len(), 1, "one search, no sorting: {due:?}");
    assert!(due[0].ends_with("INDEX deliveries_due (channel=? AND priority=? AND due_at<?)"), "{due:?}");
    let channels = query_plan(&fixture.foreign_connection(), WAITING_CHANNELS);
    assert!(channels.iter().any(|line| line.ends_with("(channel>?)")), "{channels:?}");
    let sorts = |line: &String| line.contains("TEMP B-TREE");
    assert!(!channels.iter().any(sorts), "{channels:?}");
}
