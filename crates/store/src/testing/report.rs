//! Promises about the report's numbers.

use std::sync::Arc;
use std::time::Duration;

use super::fixtures::*;
use crate::Store;
use postrider_core::attempt::Outcome;
use postrider_core::delivery::Failure;
use postrider_core::id::DeliveryId;
use postrider_core::receipt::ReceiptStatus;
use postrider_core::report::{DeliveryTotals, HourReportRow, Report, TopRecipientRow, duration_bucket};

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

/// Messages 1 to 20 over three hours, in every state there is.
pub async fn first_day(store: &dyn Store) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for which in 1..=20 {
        let mut new = sms_to(which, &format!("+98{}", which % 7));
        new.created_at = at(i64::try_from(which).unwrap() * 500);
        new.deliveries[0].resends_left = u32::from(which == 9);
        if which % 5 == 0 {
            new.deliveries.push(new_delivery("email", "a@example.org"));
        }
        ids.push(accepted(store, new).await);
    }
    for (index, id) in ids.iter().enumerate().take(12) {
        claim_and_send(
            store,
            *id,
            if index % 2 == 0 { "blue" } else { "red" },
            &format!("r-{index}"),
            at(1),
        )
        .await;
    }
    claim_and_fail(store, ids[12], Failure::Rejected, at(1)).await;
    claim_and_fail(store, ids[13], Failure::Exhausted, at(1)).await;
    ids
}

/// Receipts, a retry and a cancellation on top of it.
pub async fn first_night(store: &dyn Store, ids: &[DeliveryId]) {
    for (index, verdict) in [
        (0, ReceiptStatus::Delivered),
        (1, ReceiptStatus::Opened),
        (2, bounced_verdict()),
        (8, bounced_verdict()),
    ] {
        apply_receipt(
            store,
            received_receipt(None, &format!("r-{index}"), verdict, at(9)),
        )
        .await;
    }
    let claim = claimed(store, ids[14], at(10)).await;
    let silence = Outcome::Unknown {
        reason: "silence".to_owned(),
    };
    let mut calls = vec![
        attempt("red", unavailable_outcome(), at(10)),
        attempt("green", silence, at(11)),
    ];
    calls[0].duration = Duration::from_secs(99);
    record(
        store,
        finished_round(&claim, calls, waiting_state(at(20), "silence"), at(12)),
    )
    .await;
    store.cancel_message(id(16), at(13)).await.unwrap();
}

/// The report of a store that has forgotten its roll-ups and built them again.
pub async fn rebuilt_report(store: &dyn Store) -> Report {
    store.begin_rebuild().await.unwrap();
    apply_all_changes(store).await;
    store.report(at(20_000)).await.unwrap()
}

pub async fn an_empty_store_reports_nothing(open: Open<'_>) {
    let store = open();
    assert_eq!(store.apply_changes(9).await.unwrap(), 0);
    let expected = Report {
        as_of: at(5),
        ..Report::default()
    };
    assert_eq!(store.report(at(5)).await.unwrap(), expected);
    assert_eq!(rebuilt_report(&*store).await.messages, 0);
}

pub async fn the_report_counts_everything(open: Open<'_>) {
    let store = open();
    let ids = first_day(&*store).await;
    first_night(&*store, &ids).await;
    assert_eq!(
        store.report(at(20_000)).await.unwrap().messages,
        0,
        "nothing before the fold"
    );
    apply_all_changes(&*store).await;
    let report = store.report(at(20_000)).await.unwrap();
    assert_eq!((report.as_of, report.messages), (at(20_000), 20));
    let failed = |word: &str, count| (word.to_owned(), count);
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

pub async fn fold_is_done_when_it_returns_zero(open: Open<'_>) {
    let store = open();
    let ids = first_day(&*store).await;
    assert_eq!(store.apply_changes(20).await.unwrap(), 20);
    assert_eq!(store.apply_changes(20).await.unwrap(), 4);
    assert_eq!(store.apply_changes(20).await.unwrap(), 0);
    first_night(&*store, &ids).await;
    assert_eq!(store.apply_changes(20).await.unwrap(), 6);
    assert_eq!(store.apply_changes(20).await.unwrap(), 0);
}

pub async fn folding_changes_comes_to_the_same_as_folding_from_nothing(open: Open<'_>) {
    let store = open();
    let ids = first_day(&*store).await;
    apply_all_changes(&*store).await;
    first_night(&*store, &ids).await;
    let nine = claimed(&*store, ids[8], at(20)).await;
    record(
        &*store,
        finished_round(
            &nine,
            vec![attempt("red", unavailable_outcome(), at(20))],
            waiting_state(at(99), "down"),
            at(21),
        ),
    )
    .await;
    store.requeue(vec![ids[12]], at(30), at(99)).await.unwrap();
    apply_all_changes(&*store).await;
    let step_by_step = store.report(at(20_000)).await.unwrap();
    assert_eq!(rebuilt_report(&*store).await, step_by_step);
    let providers: Vec<_> = step_by_step
        .providers
        .iter()
        .map(|line| line.name.as_str())
        .collect();
    assert_eq!(providers, ["blue", "green", "red"]);
    let red = &step_by_step.providers[2];
    assert_eq!(
        (red.attempts(), red.faults(), red.sent, red.delivered),
        (10, 4, 5, 1)
    );
    assert_eq!(red.durations[duration_bucket(99_000)], 1);
    let hours: Vec<_> = step_by_step
        .hours
        .iter()
        .map(|line| (line.hour, line.accepted))
        .collect();
    assert_eq!(hours, [(at(0), 8), (at(3600), 8), (at(7200), 8)]);
    let first = HourReportRow {
        hour: at(0),
        accepted: 8,
        sent: 6,
        failed: 1,
    };
    assert_eq!(step_by_step.hours[0], first);
    let much_later = store.report(at(48 * 3600)).await.unwrap();
    assert_eq!(much_later.hours[0].hour, at(3600), "two days and no more");
}

pub async fn late_attempts_are_counted_once(open: Open<'_>) {
    let store = open();
    let id = accepted(&*store, sms(1)).await;
    let slow = claimed(&*store, id, at(1)).await;
    let fast = claimed(&*store, id, at(100)).await;
    let calls = vec![attempt("blue", accepted_outcome("b-1"), at(101))];
    record(
        &*store,
        finished_round(&fast, calls, sent_state("blue", "b-1", at(101)), at(101)),
    )
    .await;
    apply_all_changes(&*store).await;
    let calls = vec![
        attempt("red", accepted_outcome("r-1"), at(2)),
        attempt("red", unavailable_outcome(), at(3)),
    ];
    record(
        &*store,
        finished_round(&slow, calls, sent_state("red", "r-1", at(2)), at(102)),
    )
    .await;
    apply_all_changes(&*store).await;
    let report = store.report(at(200)).await.unwrap();
    let calls: Vec<_> = report
        .providers
        .iter()
        .map(|line| (line.name.as_str(), line.attempts()))
        .collect();
    assert_eq!(calls, [("blue", 1), ("red", 2)]);
    assert_eq!(rebuilt_report(&*store).await.providers, report.providers);
}

pub async fn the_top_ten_are_the_ten_with_most(open: Open<'_>) {
    let store = open();
    let mut which = 0;
    for address in 1..=14 {
        for _ in 0..address {
            which += 1;
            accepted(&*store, sms_to(which, &format!("+98{address:02}"))).await;
        }
    }
    apply_all_changes(&*store).await;
    let top = store.report(at(9)).await.unwrap().top_recipients;
    let expected: Vec<_> = (5..=14)
        .rev()
        .map(|address| TopRecipientRow {
            address: format!("+98{address:02}"),
            count: address,
        })
        .collect();
    assert_eq!(top, expected);
}
