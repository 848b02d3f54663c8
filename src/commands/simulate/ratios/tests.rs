use super::*;
use crate::domain::id::MessageId;
use crate::domain::report::Totals;

fn audience(lost: f64, opened: f64) -> Audience {
    Audience {
        users: 10,
        published: 1,
        receipts: Receipts { lost, opened },
        registered: 10,
    }
}

fn played(received: u64, opened: u64) -> (Notices, Report) {
    let tally = Tally {
        messages: 10,
        received,
        opened,
        failed: 10 - received,
        ..Tally::default()
    };
    let notice = Notice {
        id: MessageId::new(crate::clock::from_millis(1), [7; 10]),
        body: "hello".to_owned(),
    };
    let run = Notices {
        took: Duration::from_secs(1),
        notices: vec![Counted { notice, tally }],
        accepted: 10,
        moved: [10, received, 10 - received],
        interrupted: false,
    };
    let report = Report {
        messages: 10,
        totals: Totals {
            delivered: received,
            opened,
            failed: vec![("bounced".to_owned(), 10 - received)],
            ..Totals::default()
        },
        ..Report::default()
    };
    (run, report)
}

#[test]
fn ten_sent_eight_received_four_opened_are_told_as_system_e_told_them() {
    let (run, report) = played(8, 4);
    let audience = audience(0.2, 0.5);
    let faults = faults(&audience, &run, &report, 0);
    assert_eq!(faults, Vec::<String>::new());
    let text = text(&audience, &run, &report, &faults);
    let block = "body: hello\n{\n  \"sent\": 10,\n  \"received\": 8,\n  \"opened\": 4,\n  \
                 \"received_ratio\": \"0.80\",\n  \"opened_ratio\": \"0.50\"\n}\n";
    assert!(text.contains(block) && text.starts_with("id: "), "{text}");
    assert!(text.ends_with("all as expected\n"), "{text}");
}

#[test]
fn nothing_is_divided_by_when_nothing_was_received_or_sent() {
    let (run, report) = played(0, 0);
    let told = text(&audience(1.0, 0.5), &run, &report, &[]);
    assert!(
        told.contains("\"received_ratio\": \"0.00\",\n  \"opened_ratio\": null"),
        "{told}"
    );
    let nobody = Audience {
        users: 0,
        registered: 0,
        ..audience(0.1, 0.6)
    };
    let (run, report) = (Notices::default(), Report::default());
    assert_eq!(faults(&nobody, &run, &report, 0), Vec::<String>::new());
}

#[test]
fn of_an_interrupted_run_theory_says_nothing() {
    let (mut run, report) = played(0, 0);
    run.interrupted = true;
    let told = text(&audience(0.0, 1.0), &run, &report, &[]);
    assert!(!told.contains("OUTSIDE"), "{told}");
}

#[test]
fn too_many_lost_and_numbers_that_do_not_add_up_are_named() {
    let (run, mut report) = played(1, 1);
    assert_eq!(
        faults(&audience(0.0, 1.0), &run, &report, 0),
        ["received messages"]
    );
    report.totals.delivered = 2;
    let told = faults(&audience(0.5, 0.5), &run, &report, 3).join("; ");
    for words in [
        "sum of states: 10 is not 11",
        "received, by metrics and report: 1 is not 2",
        "waiting, by store and report: 3 is not 0",
    ] {
        assert!(told.contains(words), "{told}");
    }
}
