use super::*;
use crate::mock_sender::ReceiptRatios;
use postrider_core::{id::MessageId, report::DeliveryTotals};

fn audience(loss_ratio: f64, open_ratio: f64) -> SimulationAudience {
    SimulationAudience { users: 10, broadcasts: 1, receipt_ratios: ReceiptRatios { loss_ratio, open_ratio } }
}

fn run_and_report(received: u64, opened: u64) -> (BroadcastRun, Report) {
    let counts = BroadcastCounts {
        messages: 10,
        received,
        opened,
        failed: 10 - received,
        ..BroadcastCounts::default()
    };
    let broadcast = Broadcast {
        number: 1,
        id: MessageId::new(postrider_core::clock::from_millis(1), [7; 10]),
        body: "hello".to_owned(),
        channel: "sms".parse().unwrap(),
        caller: String::new(),
        owner: String::new(),
        created_at: postrider_core::clock::from_millis(1),
        is_to_all: true,
        last_user: 10,
        users: 10,
        fan_out_position: 10,
        messages: 10,
        unreachable: 0,
        refused: 0,
        is_fanned_out: true,
    };
    let run = BroadcastRun {
        elapsed: Duration::from_secs(1),
        registered_users: 10,
        broadcasts: vec![(broadcast, counts)],
        accepted: 10,
        state_changes: [10, received, 10 - received],
        is_interrupted: false,
    };
    let report = Report {
        messages: 10,
        totals: DeliveryTotals {
            delivered: received,
            opened,
            failed: vec![("bounced".to_owned(), 10 - received)],
            ..DeliveryTotals::default()
        },
        ..Report::default()
    };
    (run, report)
}

#[test]
fn ten_sent_eight_received_four_opened_are_printed_as_by_system_e() {
    let (run, report) = run_and_report(8, 4);
    let audience = audience(0.2, 0.5);
    let faults = find_broadcast_faults(&audience, &run, &report, 0);
    assert_eq!(faults, Vec::<String>::new());
    let text = render_broadcast_result(&audience, &run, &report, &faults);
    let block = "body: hello\n{\n  \"sent\": 10,\n  \"received\": 8,\n  \"opened\": 4,\n  \
                 \"received_ratio\": \"0.80\",\n  \"opened_ratio\": \"0.50\"\n}\n";
    assert!(text.contains(block) && text.starts_with("id: "), "{text}");
    assert!(text.ends_with("result: as expected\n"), "{text}");
}

#[test]
fn the_reference_run_of_system_e_receives_4500_of_5000_and_opens_2700_within_four_deviations() {
    let (mut run, _) = run_and_report(8, 4);
    let (_, counts) = &mut run.broadcasts[0];
    (counts.messages, counts.received, counts.opened) = (5_000, 4_500, 2_700);
    let [received, opened] = broadcast_expectations(&audience(0.1, 0.6), &run);
    let (min, max) = received.range.unwrap();
    assert_eq!(received.expected, Some(4_500.0));
    assert!((4_415.0..4_416.0).contains(&min) && (4_584.0..4_585.0).contains(&max), "{min} {max}");
    let (min, max) = opened.range.unwrap();
    assert_eq!(opened.expected, Some(2_700.0));
    assert!((2_568.0..2_569.0).contains(&min) && (2_831.0..2_832.0).contains(&max), "{min} {max}");
}

#[test]
fn a_run_without_receipts_or_messages_divides_nothing_by_zero() {
    let (run, report) = run_and_report(0, 0);
    let text = render_broadcast_result(&audience(1.0, 0.5), &run, &report, &[]);
    assert!(text.contains("\"received_ratio\": \"0.00\",\n  \"opened_ratio\": null"), "{text}");
    let no_users = SimulationAudience { users: 0, ..audience(0.1, 0.6) };
    let (run, report) = (BroadcastRun::default(), Report::default());
    assert_eq!(find_broadcast_faults(&no_users, &run, &report, 0), Vec::<String>::new());
}

#[test]
fn an_interrupted_run_is_not_compared_with_the_expectation() {
    let (mut run, report) = run_and_report(0, 0);
    run.is_interrupted = true;
    let text = render_broadcast_result(&audience(0.0, 1.0), &run, &report, &[]);
    assert!(!text.contains("OUTSIDE"), "{text}");
}

#[test]
fn too_many_lost_messages_and_counts_that_disagree_are_reported() {
    let (run, mut report) = run_and_report(1, 1);
    assert_eq!(find_broadcast_faults(&audience(0.0, 1.0), &run, &report, 0), ["received messages"]);
    report.totals.delivered = 2;
    let text = find_broadcast_faults(&audience(0.5, 0.5), &run, &report, 3).join("; ");
    for fault in [
        "accepted: report 10, sum of states 11",
        "received: metrics 1, report 2",
        "waiting: store 3, report 0",
    ] {
        assert!(text.contains(fault), "{text}");
    }
}
