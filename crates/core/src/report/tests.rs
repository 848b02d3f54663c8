use super::*;

#[test]
fn an_empty_report_divides_by_nothing() {
    let row = ProviderReportRow::default();
    assert_eq!(percent(0, 0), None);
    assert_eq!(row.fault_percent(), None);
    assert_eq!(row.delivered_percent(), None);
    assert_eq!(row.percentile_ms(0.5), None);
    assert_eq!(row.mean_seconds(), None);
    assert_eq!(Report::default().totals.sum(), 0);
}

#[test]
fn faults_are_failures_of_the_provider() {
    let row = ProviderReportRow {
        // accepted, deferred, unavailable, throttled, rejected, invalid_recipient, misconfigured, unknown
        outcomes: [85, 1, 2, 1, 1, 1, 4, 5],
        sent: 10,
        delivered: 70,
        bounced: 20,
        ..ProviderReportRow::default()
    };
    assert_eq!(row.attempts(), 100);
    assert_eq!(row.fault_percent(), Some(11.0));
    assert_eq!(row.delivered_percent(), Some(70.0));
}

#[test]
fn a_duration_belongs_to_the_first_bucket_with_a_sufficient_bound() {
    for (duration_ms, bucket) in [(0, 0), (1, 0), (2, 1), (4, 3), (30_000, 18), (30_001, 19), (u64::MAX, 19)]
    {
        assert_eq!(duration_bucket(duration_ms), bucket, "{duration_ms} ms");
    }
}

#[test]
fn percentiles_are_upper_bounds_of_their_buckets() {
    let mut row = ProviderReportRow::default();
    row.durations[duration_bucket(10)] = 94;
    row.durations[duration_bucket(400)] = 5;
    row.durations[duration_bucket(99_999)] = 1;
    for (part, bound) in [(0.0, 12), (0.5, 12), (0.94, 12), (0.95, 500), (0.99, 500), (1.0, 60_000)] {
        assert_eq!(row.percentile_ms(part), Some(bound), "{part}");
    }
}

#[test]
fn totals_are_summed() {
    let totals = DeliveryTotals {
        waiting: 1,
        sent: 2,
        delivered: 3,
        failed: vec![("rejected".to_owned(), 4), ("expired".to_owned(), 5)],
        unknown: 7,
        opened: 2,
    };
    assert_eq!(totals.failed_sum(), 9);
    assert_eq!(totals.sum(), 15);
}

#[test]
fn a_provider_without_receipts_has_no_delivered_percentage() {
    let row = ProviderReportRow { sent: 20, ..ProviderReportRow::default() };
    assert_eq!(row.delivered_percent(), None);
}
