use super::*;
use postrider_core::report::{DeliveryTotals, ProviderReportRow, Report};

#[test]
fn three_lines_show_the_totals() {
    let overview = StatusOverview {
        report: Report {
            totals: DeliveryTotals {
                sent: 700,
                delivered: 100,
                failed: vec![("rejected".to_owned(), 200)],
                ..DeliveryTotals::default()
            },
            providers: vec![ProviderReportRow {
                timed_attempts: 1_000,
                duration_sum_ms: 100_300,
                ..ProviderReportRow::default()
            }],
            ..Report::default()
        },
        ..StatusOverview::default()
    };
    let expected =
        "Total messages sent: 800\nTotal messages failed: 200\nAverage time per message: 0.1003 seconds\n";
    assert_eq!(format_status_lines(&overview), expected);
}

#[test]
fn a_failed_poll_is_repeated_soon() {
    let (hour, short) = (Duration::from_secs(3_600), Duration::from_millis(100));
    assert_eq!((poll_delay(hour, false), poll_delay(hour, true)), (hour, DEFAULT_INTERVAL));
    assert_eq!((poll_delay(short, false), poll_delay(short, true)), (short, short));
}

#[test]
fn three_lines_of_an_empty_store_divide_nothing_by_zero() {
    let expected =
        "Total messages sent: 0\nTotal messages failed: 0\nAverage time per message: 0.0000 seconds\n";
    assert_eq!(format_status_lines(&StatusOverview::default()), expected);
}
