//! Conformance tests of pruning and of deleting expired rows.

use super::fixtures::*;
use super::report::{first_day, first_night, rebuilt_report};
use crate::Store;
use postrider_core::message::Acceptance;

pub async fn prune_deletes_old_messages_that_have_ended(open: OpenStore<'_>) {
    let store = open();
    let delivery_ids = first_day(&*store).await;
    first_night(&*store, &delivery_ids).await;
    // Of messages 1 to 12 all but 5, 9 and 10 have ended: 5 and 10 have a second delivery, 9 is sent again.
    let before = at(13 * 500);
    assert_eq!(store.prune(before, before, 4).await.unwrap(), 4);
    assert_eq!(store.prune(before, before, 100).await.unwrap(), 5);
    assert_eq!(store.prune(before, before, 100).await.unwrap(), 0);
    for number in 1..=20 {
        let is_stored = store.find_message(id(number)).await.unwrap().is_some();
        assert_eq!(is_stored, number > 12 || [5, 9, 10].contains(&number), "message {number}");
    }
    assert_eq!(store.prune(at(-9_999), before, 100).await.unwrap(), 0);
}

pub async fn prune_keeps_the_totals(open: OpenStore<'_>) {
    let store = open();
    let delivery_ids = first_day(&*store).await;
    apply_all_changes(&*store).await;
    first_night(&*store, &delivery_ids).await;
    apply_all_changes(&*store).await;
    let unpruned_report = store.report(at(20_000)).await.unwrap();
    store.prune(at(13 * 500), at(0), 100).await.unwrap();
    assert_eq!(store.report(at(20_000)).await.unwrap(), unpruned_report);
    apply_all_changes(&*store).await;
    assert_eq!(store.report(at(20_000)).await.unwrap(), unpruned_report);
    assert_eq!(rebuilt_report(&*store).await, unpruned_report);
    store.prune(at(99_999), at(0), 3).await.unwrap();
    assert_eq!(rebuilt_report(&*store).await, unpruned_report);
}

pub async fn prune_counts_deliveries_that_the_rollups_had_not_counted(open: OpenStore<'_>) {
    let (pruning_store, reading_store) = (open(), open());
    let delivery_ids = first_day(&*pruning_store).await;
    apply_some_changes(&*pruning_store, &delivery_ids).await;
    pruning_store.prune(at(13 * 500), at(0), 100).await.unwrap();
    apply_all_changes(&*pruning_store).await;
    let report = pruning_store.report(at(20_000)).await.unwrap();
    assert_eq!((report.messages, report.totals.sum()), (20, 24));
    assert_eq!(report.top_recipients.iter().map(|row| row.count).sum::<u64>(), 24);
    assert_eq!(rebuilt_report(&*reading_store).await, report);
}

/// Leaves some deliveries counted, some counted and changed since, and some never counted.
async fn apply_some_changes(store: &dyn Store, delivery_ids: &[postrider_core::id::DeliveryId]) {
    store.apply_changes(8).await.unwrap();
    first_night(store, delivery_ids).await;
}

pub async fn numbers_of_pruned_messages_are_not_reused(open: OpenStore<'_>) {
    let store = open();
    let pruned_id = accepted(&*store, sms(1)).await;
    claim_and_send(&*store, pruned_id, "blue", "b-1", at(1)).await;
    assert_eq!(store.prune(at(9), at(9), 10).await.unwrap(), 1);
    let next_id = accepted(&*open(), sms(2)).await;
    assert!(next_id > pruned_id, "{next_id} after {pruned_id}");
}

pub async fn expired_keys_are_deleted(open: OpenStore<'_>) {
    let store = open();
    let (mut first_message, mut repeated_message) = (sms(1), sms(2));
    first_message.idempotency = idempotency_key(1, 1);
    repeated_message.idempotency = idempotency_key(1, 1);
    accepted(&*store, first_message).await;
    store.delete_expired(at(0), at(999), 10).await.unwrap();
    let results = store.accept(vec![repeated_message.clone()]).await.unwrap();
    assert!(matches!(results[0], Acceptance::Replayed { .. }));
    store.delete_expired(at(0), at(1000), 10).await.unwrap();
    accepted(&*store, repeated_message).await;
}

pub async fn expired_rows_are_deleted_in_batches(open: OpenStore<'_>) {
    let store = open();
    for number in 0..7 {
        let mut message = sms(u64::from(number));
        message.idempotency = idempotency_key(number, 1);
        message.throttles = vec![hourly(number, 300)];
        accepted(&*store, message).await;
        let unmatched_receipt =
            received_receipt(Some("blue"), &format!("unknown-{number}"), bounced_status(), at(1));
        apply_receipt(&*store, unmatched_receipt).await;
    }
    let delete_batch = async || store.delete_expired(at(9), at(7200), 3).await.unwrap();
    assert_eq!(delete_batch().await, 9, "three of each kind");
    assert_eq!(delete_batch().await, 9);
    assert_eq!(delete_batch().await, 3);
    assert_eq!(delete_batch().await, 0, "nothing is left");
}
