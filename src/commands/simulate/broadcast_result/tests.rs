use super::*;
use postrider_core::id::MessageId;
use postrider_core::report::DeliveryTotals;

fn plan(lost: f64, opened: f64) -> BroadcastPlan {
    BroadcastPlan {
        users: 10,
        broadcasts: 1,
        receipts: ReceiptRatios {
            loss_ratio: lost,
            open_ratio: opened,
        },
        registered_users: 10,
    }
}

fn run_and_report(received: u64, opened: u64) -> (BroadcastRun, Report) {
    let tally = BroadcastCounts {
        messages: 10,
        received,
        opened,
        failed: 10 - received,
        ..BroadcastCounts::default()
    };
    let notice = GeneratedBroadcast {
        id: MessageId::new(postrider_core::clock::from_millis(1), [7; 10]),
        body: "hello".to_owned(),
    };
    let run = BroadcastRun {
        elapsed: Duration::from_secs(1),
        broadcasts: vec![CountedBroadcast {
            broadcast: notice,
            counts: tally,
        }],
        accepted: 10,
        state_changes: [10, received, 10 - received],
        interrupted: false,
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
fn ten_sent_eight_received_four_opened_are_told_as_system_e_told_them() {
    let (run, report) = run_and_report(8, 4);
    let audience = plan(0.2, 0.5);
    let faults = find_broadcast_faults(&audience, &run, &report, 0);
    assert_eq!(faults, Vec::<String>::new());
    let text = render_broadcast_result(&audience, &run, &report, &faults);
    let block = "body: hello\n{\n  \"sent\": 10,\n  \"received\": 8,\n  \"opened\": 4,\n  \
                 \"received_ratio\": \"0.80\",\n  \"opened_ratio\": \"0.50\"\n}\n";
    assert!(text.contains(block) && text.starts_with("id: "), "{text}");
    assert!(text.ends_with("all as expected\n"), "{text}");
}

#[test]
fn nothing_is_divided_by_when_nothing_was_received_or_sent() {
    let (run, report) = run_and_report(0, 0);
    let told = render_broadcast_result(&plan(1.0, 0.5), &run, &report, &[]);
    assert!(
        told.contains("\"received_ratio\": \"0.00\",\n  \"opened_ratio\": null"),
        "{told}"
    );
    let nobody = BroadcastPlan {
        users: 0,
        registered_users: 0,
        ..plan(0.1, 0.6)
    };
    let (run, report) = (BroadcastRun::default(), Report::default());
    assert_eq!(
        find_broadcast_faults(&nobody, &run, &report, 0),
        Vec::<String>::new()
    );
}

#[test]
fn of_an_interrupted_run_theory_says_nothing() {
    let (mut run, report) = run_and_report(0, 0);
    run.interrupted = true;
    let told = render_broadcast_result(&plan(0.0, 1.0), &run, &report, &[]);
    assert!(!told.contains("OUTSIDE"), "{told}");
}

#[test]
fn too_many_lost_and_numbers_that_do_not_add_up_are_named() {
    let (run, mut report) = run_and_report(1, 1);
    assert_eq!(
        find_broadcast_faults(&plan(0.0, 1.0), &run, &report, 0),
        ["received messages"]
    );
    report.totals.delivered = 2;
    let told = find_broadcast_faults(&plan(0.5, 0.5), &run, &report, 3).join("; ");
    for words in [
        "sum of states: 10 is not 11",
        "received, by metrics and report: 1 is not 2",
        "waiting, by store and report: 3 is not 0",
    ] {
        assert!(told.contains(words), "{told}");
    }
}
