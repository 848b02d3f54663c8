//! Conformance tests of the report.

use std::time::Duration;

use super::fixtures::*;
use crate::Store;
use postrider_core::report::{DeliveryTotals, HourReportRow, Report, TopRecipientRow, duration_bucket};
use postrider_core::{attempt::Outcome, delivery::Failure, id::DeliveryId, receipt::ReceiptStatus};

/// Accepts messages 1 to 20 over three hours and brings them into every state.
pub async fn first_day(store: &dyn Store) -> Vec<DeliveryId> {
    let mut delivery_ids = Vec::new();
    for number in 1..=20 {
        let mut new_message = sms_to(number, &format!("+98{}", number % 7));
        new_message.created_at = at(i64::try_from(number).unwrap() * 500);
        new_message.deliveries[0].resends_left = u32::from(number == 9);
        if number % 5 == 0 {
            new_message.deliveries.push(new_delivery("email", "a@example.org"));
        }
        delivery_ids.push(accepted(store, new_message).await);
    }
    for (index, delivery_id) in delivery_ids.iter().enumerate().take(12) {
        claim_and_send(
            store,
            *delivery_id,
            if index % 2 == 0 { "blue" } else { "red" },
            &format!("r-{index}"),
            at(1),
        )
        .await;
    }
    claim_and_fail(store, delivery_ids[12], Failure::Rejected, at(1)).await;
    claim_and_fail(store, delivery_ids[13], Failure::Exhausted, at(1)).await;
    delivery_ids
}

/// Adds receipts, a retry and a cancellation.
pub async fn first_night(store: &dyn Store, delivery_ids: &[DeliveryId]) {
    for (index, status) in [
        (0, ReceiptStatus::Delivered),
        (1, ReceiptStatus::Opened),
        (2, bounced_status()),
        (8, bounced_status()),
    ] {
        apply_receipt(store, received_receipt(None, &format!("r-{index}"), status, at(9))).await;
    }
    let claim = claimed(store, delivery_ids[14], at(10)).await;
    let unknown_outcome = Outcome::Unknown { reason: "silence".to_owned() };
    let mut attempts =
        vec![attempt("red", unavailable_outcome(), at(10)), attempt("green", unknown_outcome, at(11))];
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
    let empty_report = Report { as_of: at(5), ..Report::default() };
    assert_eq!(store.report(at(5)).await.unwrap(), empty_report);
    assert_eq!(rebuilt_report(&*store).await.messages, 0);
}

pub async fn the_report_counts_everything(open: OpenStore<'_>) {
    let store = open();
    let delivery_ids = first_day(&*store).await;
    first_night(&*store, &delivery_ids).await;
    assert_eq!(store.report(at(20_000)).await.unwrap().messages, 0, "nothing is counted yet");
    apply_all_changes(&*store).await;
    let report = store.report(at(20_000)).await.unwrap();
    assert_eq!((report.as_of, report.messages), (at(20_000), 20));
    let failure_count = |kind: &str, count| (kind.to_owned(), count);
    let expected_totals = DeliveryTotals {
        waiting: 10,
        sent: 8,
        delivered: 2,
        failed: vec![
            failure_count("rejected", 1),
            failure_count("exhausted", 1),
            failure_count("bounced", 1),
            failure_count("cancelled", 1),
        ],
        unknown: 1,
        opened: 1,
    };
    assert_eq!((report.totals.sum(), report.totals), (24, expected_totals));
}

pub async fn applying_changes_ends_with_zero(open: OpenStore<'_>) {
    let store = open();
    let delivery_ids = first_day(&*store).await;
    assert_eq!(store.apply_changes(20).await.unwrap(), 20);
    assert_eq!(store.apply_changes(20).await.unwrap(), 4);
    assert_eq!(store.apply_changes(20).await.unwrap(), 0);
    first_night(&*store, &delivery_ids).await;
    assert_eq!(store.apply_changes(20).await.unwrap(), 6);
    assert_eq!(store.apply_changes(20).await.unwrap(), 0);
}

pub async fn incremental_rollups_equal_rebuilt_ones(open: OpenStore<'_>) {
    let store = open();
    let delivery_ids = first_day(&*store).await;
    apply_all_changes(&*store).await;
    first_night(&*store, &delivery_ids).await;
    let claim = claimed(&*store, delivery_ids[8], at(20)).await;
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
    store.requeue(vec![delivery_ids[12]], at(30), at(99)).await.unwrap();
    apply_all_changes(&*store).await;
    let incremental_report = store.report(at(20_000)).await.unwrap();
    assert_eq!(rebuilt_report(&*store).await, incremental_report);
    let provider_names: Vec<_> = incremental_report.providers.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(provider_names, ["blue", "green", "red"]);
    let red_row = &incremental_report.providers[2];
    assert_eq!((red_row.attempts(), red_row.faults(), red_row.sent, red_row.delivered), (10, 4, 5, 1));
    assert_eq!(red_row.durations[duration_bucket(99_000)], 1);
    let accepted_by_hour: Vec<_> =
        incremental_report.hours.iter().map(|row| (row.hour, row.accepted)).collect();
    assert_eq!(accepted_by_hour, [(at(0), 8), (at(3600), 8), (at(7200), 8)]);
    let first_hour = HourReportRow { hour: at(0), accepted: 8, sent: 6, failed: 1 };
    assert_eq!(incremental_report.hours[0], first_hour);
    let later_report = store.report(at(48 * 3600)).await.unwrap();
    assert_eq!(later_report.hours[0].hour, at(3600), "only the last 48 hours");
}

pub async fn late_attempts_are_counted_once(open: OpenStore<'_>) {
    let store = open();
    let delivery_id = accepted(&*store, sms(1)).await;
    let first_claim = claimed(&*store, delivery_id, at(1)).await;
    let second_claim = claimed(&*store, delivery_id, at(100)).await;
    let sent_attempts = vec![attempt("blue", accepted_outcome("b-1"), at(101))];
    record(
        &*store,
        finished_round(&second_claim, sent_attempts, sent_state("blue", "b-1", at(101)), at(101)),
    )
    .await;
    apply_all_changes(&*store).await;
    let sent_attempts =
        vec![attempt("red", accepted_outcome("r-1"), at(2)), attempt("red", unavailable_outcome(), at(3))];
    record(&*store, finished_round(&first_claim, sent_attempts, sent_state("red", "r-1", at(2)), at(102)))
        .await;
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
    let top_recipients = store.report(at(9)).await.unwrap().top_recipients;
    let expected_rows: Vec<_> = (5..=14)
        .rev()
        .map(|address| TopRecipientRow { address: format!("+98{address:02}"), count: address })
        .collect();
    assert_eq!(top_recipients, expected_rows);
}
