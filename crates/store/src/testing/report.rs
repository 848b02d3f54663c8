//! Conformance tests of the report.

use std::time::Duration;

use super::fixtures::*;
use crate::Store;
use postrider_core::attempt::Outcome;
use postrider_core::delivery::Failure;
use postrider_core::id::DeliveryId;
use postrider_core::receipt::ReceiptStatus;
use postrider_core::report::{DeliveryTotals, HourReportRow, Report, TopRecipientRow, duration_bucket};

/// Accepts messages 1 to 20 over three hours and brings them into every state.
pub async fn first_day(store: &dyn Store) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for number in 1..=20 {
        let mut new = sms_to(number, &format!("+98{}", number % 7));
        new.created_at = at(i64::try_from(number).unwrap() * 500);
        new.deliveries[0].resends_left = u32::from(number == 9);
        if number % 5 == 0 {
            new.deliveries.push(new_delivery("email", "a@example.org"));
        }
        ids.push(accepted(store, new).await);
    }
    for (index, id) in ids.iter().enumerate().take(12) {
        claim_and_send(store, *id, if index % 2 == 0 { "blue" } else { "red" }, &format!("r-{index}"), at(1))
            .await;
    }
    claim_and_fail(store, ids[12], Failure::Rejected, at(1)).await;
    claim_and_fail(store, ids[13], Failure::Exhausted, at(1)).await;
    ids
}

/// Adds receipts, a retry and a cancellation.
pub async fn first_night(store: &dyn Store, ids: &[DeliveryId]) {
    for (index, status) in [
        (0, ReceiptStatus::Delivered),
        (1, ReceiptStatus::Opened),
        (2, bounced_status()),
        (8, bounced_status()),
    ] {
        apply_receipt(store, received_receipt(None, &format!("r-{index}"), status, at(9))).await;
    }
    let claim = claimed(store, ids[14], at(10)).await;
    let unknown = Outcome::Unknown { reason: "silence".to_owned() };
    let mut attempts = vec![attempt("red", unavailable_outcome(), at(10)), attempt("green", unknown, at(11))];
    attempts[0].duration = Duration::from_secs(99);
    record(store, finished_round(&claim, attempts, waiting_state(at(20), "silence"), at(12))).await;
    store.cancel_message(id(16), at(13)).await.unwrap();
}

/// Rebuilds the rollups and returns the report.
pub async fn rebuilt_report(store: &dyn Store) -> Report {
    store.begin_rebuild().await.unwrap();
    apply_all_changes(store).await;
    store.report(at(20_000)).await.unwrap()
}

pub async fn an_empty_store_reports_nothing(open: OpenStore<'_>) {
    let store = open();
    assert_eq!(store.apply_changes(9).await.unwrap(), 0);
    let expected = Report { as_of: at(5), ..Report::default() };
    assert_eq!(store.report(at(5)).await.unwrap(), expected);
    assert_eq!(rebuilt_report(&*store).await.messages, 0);
}

pub async fn the_report_counts_everything(open: OpenStore<'_>) {
    let store = open();
    let ids = first_day(&*store).await;
    first_night(&*store, &ids).await;
    assert_eq!(store.report(at(20_000)).await.unwrap().messages, 0, "nothing is counted yet");
    apply_all_changes(&*store).await;
    let report = store.report(at(20_000)).await.unwrap();
    assert_eq!((report.as_of, report.messages), (at(20_000), 20));
    let failed = |kind: &str, count| (kind.to_owned(), count);
    let totals = DeliveryTotals {
        waiting: 10,
        sent: 8,
        delivered: 2,
        failed: vec![
            failed("rejected", 1),
            failed("exhausted", 1),
            failed("bounced", 1),
            failed("cancelled", 1),
        ],
        unknown: 1,
        opened: 1,
    };
    assert_eq!((report.totals.sum(), report.totals), (24, totals));
}

pub async fn applying_changes_ends_with_zero(open: OpenStore<'_>) {
    let store = open();
    let ids = first_day(&*store).await;
    assert_eq!(store.apply_changes(20).await.unwrap(), 20);
    assert_eq!(store.apply_changes(20).await.unwrap(), 4);
    assert_eq!(store.apply_changes(20).await.unwrap(), 0);
    first_night(&*store, &ids).await;
    assert_eq!(store.apply_changes(20).await.unwrap(), 6);
    assert_eq!(store.apply_changes(20).await.unwrap(), 0);
}

pub async fn incremental_rollups_equal_rebuilt_ones(open: OpenStore<'_>) {
    let store = open();
    let ids = first_day(&*store).await;
    apply_all_changes(&*store).await;
    first_night(&*store, &ids).await;
    let claim = claimed(&*store, ids[8], at(20)).await;
    record(
        &*store,
        finished_round(
            &claim,
            vec![attempt("red", unavailable_outcome(), at(20))],
            waiting_state(at(99), "down"),
            at(21),
        ),
    )
    .await;
    store.requeue(vec![ids[12]], at(30), at(99)).await.unwrap();
    apply_all_changes(&*store).await;
    let incremental = store.report(at(20_000)).await.unwrap();
    assert_eq!(rebuilt_report(&*store).await, incremental);
    let providers: Vec<_> = incremental.providers.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(providers, ["blue", "green", "red"]);
    let red = &incremental.providers[2];
    assert_eq!((red.attempts(), red.faults(), red.sent, red.delivered), (10, 4, 5, 1));
    assert_eq!(red.durations[duration_bucket(99_000)], 1);
    let hours: Vec<_> = incremental.hours.iter().map(|row| (row.hour, row.accepted)).collect();
    assert_eq!(hours, [(at(0), 8), (at(3600), 8), (at(7200), 8)]);
    let first = HourReportRow { hour: at(0), accepted: 8, sent: 6, failed: 1 };
    assert_eq!(incremental.hours[0], first);
    let much_later = store.report(at(48 * 3600)).await.unwrap();
    assert_eq!(much_later.hours[0].hour, at(3600), "only the last 48 hours");
}

pub async fn late_attempts_are_counted_once(open: OpenStore<'_>) {
    let store = open();
    let id = accepted(&*store, sms(1)).await;
    let first = claimed(&*store, id, at(1)).await;
    let second = claimed(&*store, id, at(100)).await;
    let sent_attempts = vec![attempt("blue", accepted_outcome("b-1"), at(101))];
    record(&*store, finished_round(&second, sent_attempts, sent_state("blue", "b-1", at(101)), at(101)))
        .await;
    apply_all_changes(&*store).await;
    let sent_attempts =
        vec![attempt("red", accepted_outcome("r-1"), at(2)), attempt("red", unavailable_outcome(), at(3))];
    record(&*store, finished_round(&first, sent_attempts, sent_state("red", "r-1", at(2)), at(102))).await;
    apply_all_changes(&*store).await;
    let report = store.report(at(200)).await.unwrap();
    let sent_attempts: Vec<_> =
        report.providers.iter().map(|row| (row.name.as_str(), row.attempts())).collect();
    assert_eq!(sent_attempts, [("blue", 1), ("red", 2)]);
    assert_eq!(rebuilt_report(&*store).await.providers, report.providers);
}

pub async fn the_top_recipients_are_the_ten_with_the_most_deliveries(open: OpenStore<'_>) {
    let store = open();
    let mut number = 0;
    for address in 1..=14 {
        for _ in 0..address {
            number += 1;
            accepted(&*store, sms_to(number, &format!("+98{address:02}"))).await;
        }
    }
    apply_all_changes(&*store).await;
    let top = store.report(at(9)).await.unwrap().top_recipients;
    let expected: Vec<_> = (5..=14)
        .rev()
        .map(|address| TopRecipientRow { address: format!("+98{address:02}"), count: address })
        .collect();
    assert_eq!(top, expected);
}
