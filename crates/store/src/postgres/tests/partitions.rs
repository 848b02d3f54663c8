//! Monthly partitions: numbers skip to the next one, whole months are dropped, and the report keeps their counts.

use std::sync::Arc;

use super::*;
use crate::postgres::partitions::NUMBERS_PER_PARTITION;
use crate::postgres::{drop_partition, read};
use crate::testing::report::{first_day, first_night, rebuilt_report};
use crate::{MaintenanceStore, ReadStore, ReportStore, WorkStore};
use postrider_core::{capacity::Capacity, clock::Timestamp, id::DeliveryId, report::Report};

const DAY: i64 = 86_400;

#[test]
fn the_first_partition_of_the_schema_is_as_large_as_later_ones() {
    let schema = sql!("postgres/migrations/0001_schema");
    for (table, end) in [
        ("messages", NUMBERS_PER_PARTITION),
        ("deliveries", NUMBERS_PER_PARTITION * DeliveryId::PER_MESSAGE),
        ("attempts", NUMBERS_PER_PARTITION * DeliveryId::PER_MESSAGE),
    ] {
        let attach = format!("ATTACH PARTITION {table}_0 FOR VALUES FROM (MINVALUE) TO ({end});");
        assert!(schema.contains(&attach), "{attach}");
    }
}

/// Returns a time in the month after the first day of the fixtures.
fn next_month() -> Timestamp {
    at(40 * DAY)
}

async fn store() -> Arc<PostgresStore> {
    Arc::new(open(&new_database()).unwrap())
}

/// Returns the partitions of `deliveries`, in order.
async fn partitions(store: &PostgresStore) -> Vec<String> {
    let transaction = store.pool.begin_read().await.unwrap();
    let sql =
        "SELECT relname::TEXT FROM pg_class WHERE relkind = 'r' AND relname LIKE 'deliveries%' ORDER BY 1";
    let partition_rows = transaction.query(sql, &[]).await.unwrap();
    partition_rows.iter().map(|row| row.get(0)).collect()
}

async fn up_to_date_report(store: &PostgresStore) -> Report {
    apply_all_changes(store).await;
    store.report(at(20_000)).await.unwrap()
}

/// Accepts a message in the next month. Its hour shows that all messages of the first day are older.
async fn accept_next_month(store: &PostgresStore, number: u64) -> DeliveryId {
    let mut message = sms(number);
    message.created_at = next_month();
    accepted(store, message).await
}

#[tokio::test]
async fn an_expired_month_is_dropped_as_a_whole_and_stays_counted() {
    let store = store().await;
    let nothing_old = at(-DAY);
    store.prune(nothing_old, at(0), 10).await.unwrap();
    let ids = first_day(&*store).await;
    store.apply_changes(8).await.unwrap();
    first_night(&*store, &ids).await;
    store.prune(nothing_old, next_month(), 10).await.unwrap();
    assert!(accept_next_month(&store, 90).await.0 >= 1 << 42, "the numbers skipped to the next partition");
    for entry in store.due(at(2 * DAY), &Capacity::total(100)).await.unwrap() {
        if entry.id.0 < 1 << 42 {
            fail_now(&store, entry.id).await;
        }
    }
    let report_before = up_to_date_report(&store).await;
    store.prune(next_month(), next_month(), 10).await.unwrap();
    assert_eq!(partitions(&store).await, ["deliveries_1", "deliveries_2", "deliveries_3"]);
    assert_eq!(up_to_date_report(&store).await, report_before);
    assert_eq!(rebuilt_report(&*store).await, report_before);
    assert!(store.find_message(id(1)).await.unwrap().is_none());
    assert!(store.find_message(id(90)).await.unwrap().is_some());
}

async fn fail_now(store: &PostgresStore, id: DeliveryId) {
    claim_and_fail(store, id, postrider_core::delivery::Failure::Exhausted, at(3 * DAY)).await;
}

#[tokio::test]
async fn a_month_with_a_waiting_delivery_is_pruned_message_by_message() {
    let store = store().await;
    store.prune(at(-DAY), at(0), 10).await.unwrap();
    let (sent, waiting) = (accepted(&*store, sms(1)).await, accepted(&*store, sms(2)).await);
    claim_and_send(&*store, sent, "blue", "b-1", at(1)).await;
    store.prune(at(-DAY), next_month(), 10).await.unwrap();
    accept_next_month(&store, 3).await;
    assert_eq!(store.prune(next_month(), next_month(), 10).await.unwrap(), 1);
    assert_eq!(store.prune(next_month(), next_month(), 10).await.unwrap(), 0);
    claim_and_send(&*store, waiting, "blue", "b-2", next_month()).await;
    assert_eq!(store.prune(next_month(), next_month(), 10).await.unwrap(), 1);
    assert_eq!(partitions(&store).await[0], "deliveries_1");
}

#[tokio::test]
async fn a_detached_month_is_counted_by_the_next_prune_or_rebuild() {
    for rebuilds in [false, true] {
        let store = store().await;
        store.prune(at(-DAY), at(0), 10).await.unwrap();
        let first = accepted(&*store, sms(1)).await;
        claim_and_send(&*store, first, "blue", "b-1", at(1)).await;
        store.prune(at(-DAY), next_month(), 10).await.unwrap();
        accept_next_month(&store, 2).await;
        let report_before = up_to_date_report(&store).await;
        let transaction = store.pool.begin_write().await.unwrap();
        let detached = drop_partition::detach_one(&transaction, next_month()).await;
        assert!(transaction.finish(detached).await.unwrap());
        assert_eq!(up_to_date_report(&store).await, report_before);
        if rebuilds {
            assert_eq!(rebuilt_report(&*store).await, report_before);
        } else {
            assert_eq!(store.prune(at(-DAY), next_month(), 10).await.unwrap(), 1);
        }
        assert_eq!(up_to_date_report(&store).await, report_before);
        assert_eq!(partitions(&store).await[0], "deliveries_1");
    }
}

#[tokio::test]
async fn a_month_whose_tables_are_in_use_stays_and_no_session_waits() {
    let store = store().await;
    store.prune(at(-DAY), at(0), 10).await.unwrap();
    let sent = accepted(&*store, sms(1)).await;
    claim_and_send(&*store, sent, "blue", "b-1", at(1)).await;
    store.prune(at(-DAY), next_month(), 10).await.unwrap();
    let reader = store.pool.begin_read().await.unwrap();
    read::backlogs(&reader, at(0)).await.unwrap();
    assert_eq!(store.prune(next_month(), next_month(), 10).await.unwrap(), 0);
    assert_eq!(partitions(&store).await[0], "deliveries_0");
    drop(reader);
    assert_eq!(store.prune(next_month(), next_month(), 10).await.unwrap(), 1);
    assert_eq!(partitions(&store).await[0], "deliveries_1");
}

#[tokio::test]
async fn numbers_skip_once_a_month_however_many_processes_prune() {
    let store = store().await;
    accepted(&*store, sms(1)).await;
    for now in [at(0), at(1), next_month(), at(40 * DAY + 1), at(75 * DAY), at(0)] {
        let prunes = (0..5).map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.prune(at(-DAY), now, 10).await.unwrap() })
        });
        for prune in prunes.collect::<Vec<_>>() {
            prune.await.unwrap();
        }
    }
    assert_eq!(accepted(&*store, sms(2)).await.message_number(), 2 << 36);
    assert_eq!(partitions(&store).await.len(), 5);
}

/// Prunes messages older than 90 days, as a daily cron job does.
async fn prune_daily(store: &PostgresStore, day: i64) -> usize {
    let (now, before) = (at(day * DAY), at((day - 90) * DAY));
    let mut deleted = 0;
    loop {
        match store.prune_by_month(before, now, 10).await.unwrap() {
            0 => return deleted,
            deleted_now => deleted += deleted_now,
        }
    }
}

#[tokio::test]
async fn a_daily_prune_keeps_a_month_until_it_can_be_dropped_as_a_whole() {
    let store = store().await;
    let (mut sizes, mut waiting) = (Vec::new(), None);
    for day in (0..220).step_by(4) {
        let deleted = prune_daily(&store, day).await;
        if deleted > 0 {
            sizes.push(deleted);
        }
        let mut message = sms(u64::try_from(day).unwrap());
        message.created_at = at(day * DAY);
        let id = accepted(&*store, message).await;
        if day == 40 {
            waiting = Some(id);
        } else {
            claim_and_send(&*store, id, "blue", &format!("b-{day}"), at(day * DAY)).await;
        }
    }
    // The first month began in the middle of a calendar month.
    assert_eq!(sizes.len(), 4, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size >= 5), "whole months, not single days: {sizes:?}");
    let due = store.due(at(220 * DAY), &Capacity::total(10)).await.unwrap();
    assert!(due.iter().any(|entry| Some(entry.id) == waiting), "a waiting delivery stays");
}
