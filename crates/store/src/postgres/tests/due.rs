//! Reading due deliveries reads only the requested channels, however many deliveries of other channels wait.

use super::*;
use crate::postgres::pool::{PgTransaction, SqlValue, bind};
use crate::{MaintenanceStore, WorkStore};
use postrider_core::{capacity::Capacity, clock::from_millis};

static DUE: &str = sql!("postgres/claim/select_due");
static DUE_CHANNELS: &str = sql!("postgres/claim/list_waiting_channels");

/// Inserts many due deliveries on one channel and three on another.
const FILL_TABLES: &str = "
    INSERT INTO messages (number, id, body, created_at)
    SELECT n, decode(lpad(to_hex(n), 32, '0'), 'hex'), 'hello', 0 FROM generate_series(1, 60003) AS n;
    INSERT INTO deliveries (id, channel, address, spelling, parts, priority, state, resends_left, due_at, expires_at)
    SELECT n << 6, CASE WHEN n > 60000 THEN 'sms' ELSE 'flood' END, '1', '1', 1, 1, 'waiting', 0, n, 9000000
    FROM generate_series(1, 60003) AS n;
    ANALYZE deliveries";

/// Returns the number of pages that a statement reads, as `EXPLAIN` reports it.
async fn pages_read(transaction: &PgTransaction, sql: &str, binds: &[&dyn SqlValue]) -> i64 {
    let rows = transaction.query(&format!("EXPLAIN (ANALYZE, BUFFERS) {sql}"), binds).await;
    let lines: Vec<String> = rows.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(!lines.iter().any(|line| line.contains("Seq Scan")), "{lines:#?}");
    let first = lines.iter().find(|line| line.contains("Buffers:")).unwrap();
    let number = |part: &str| part.split_once('=').and_then(|(_, count)| count.parse::<i64>().ok());
    first.split_whitespace().filter_map(number).sum()
}

#[tokio::test]
async fn a_channel_without_capacity_is_not_read() {
    let store = open(&new_database()).unwrap();
    store.ping().await.unwrap();
    let transaction = store.pool.begin_write().await.unwrap();
    let filled = transaction.batch_execute(FILL_TABLES).await;
    transaction.finish(filled).await.unwrap();
    let capacity = Capacity::total(1_000).with_channel(name("flood"), 0);
    let due = store.due(from_millis(1_000_000), &capacity).await.unwrap();
    assert_eq!(due.len(), 3);
    let transaction = store.pool.begin_write().await.unwrap();
    let (channels, limits) = (vec!["sms"], vec![1_000_i64]);
    let read = pages_read(&transaction, DUE, bind![1_000_000_i64, channels, limits, i64::MIN]).await;
    assert!(read < 50, "{read} pages for three rows");
    let read = pages_read(&transaction, DUE_CHANNELS, &[]).await;
    assert!(read < 50, "{read} pages for two channels");
}
