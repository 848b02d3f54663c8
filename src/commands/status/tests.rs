use super::*;
use postrider_core::clock::from_millis;
use postrider_core::report::DeliveryTotals;

#[test]
fn the_oldest_due_delivery_is_shown_with_its_age() {
    let now = from_millis(1_777_000_000_000);
    let backlog = Backlog {
        waiting: 12,
        due: 3,
        oldest_due_at: Some(now - chrono::TimeDelta::seconds(125)),
        oldest_accepted_at: Some(now - chrono::TimeDelta::hours(3)),
    };
    let mut text = String::new();
    write_backlog(&mut text, backlog, now);
    assert!(text.contains("12  waiting now, 3 due") && text.contains("due 2 min ago"), "{text}");
    assert!(text.contains("accepted 3 h 0 min ago"), "{text}");
}

#[test]
fn failures_are_shown_by_reason() {
    let report = Report {
        totals: DeliveryTotals {
            failed: vec![("rejected".to_owned(), 2), ("expired".to_owned(), 1)],
            ..DeliveryTotals::default()
        },
        ..Report::default()
    };
    let mut text = String::new();
    write_report(&mut text, &report, from_millis(0));
    assert!(text.contains("failed              3  2 rejected, 1 expired"), "{text}");
}

#[test]
fn a_provider_without_attempts_has_a_row() {
    let mut text = String::new();
    let circuits = ProviderHealthTexts::from([("mock-red".to_owned(), "closed".to_owned())]);
    write_providers(&mut text, &Config::test_mode(), None, Some(&circuits));
    let red = text.lines().find(|line| line.starts_with("mock-red")).unwrap();
    assert!(red.ends_with("0        -          -  closed"), "{red}");
}
