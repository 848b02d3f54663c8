use super::*;

#[test]
fn nothing_is_never_divided_by() {
    let line = ProviderReportRow::default();
    assert_eq!(percent(0, 0), None);
    assert_eq!(line.fault_percent(), None);
    assert_eq!(line.delivered_percent(), None);
    assert_eq!(line.percentile_ms(0.5), None);
    assert_eq!(line.mean_seconds(), None);
    assert_eq!(Report::default().totals.sum(), 0);
}

#[test]
fn faults_are_what_the_provider_is_to_blame_for() {
    let line = ProviderReportRow {
        // accepted, deferred, unavailable, throttled, rejected, invalid_recipient, misconfigured, unknown
        outcomes: [85, 1, 2, 1, 1, 1, 4, 5],
        sent: 10,
        delivered: 70,
        bounced: 20,
        ..ProviderReportRow::default()
    };
    assert_eq!(line.attempts(), 100);
    assert_eq!(line.fault_percent(), Some(11.0));
    assert_eq!(line.delivered_percent(), Some(70.0));
}

#[test]
fn a_duration_falls_into_the_bucket_whose_bound_it_does_not_pass() {
    for (duration_ms, bucket) in [
        (0, 0),
        (1, 0),
        (2, 1),
        (4, 3),
        (30_000, 18),
        (30_001, 19),
        (u64::MAX, 19),
    ] {
        assert_eq!(duration_bucket(duration_ms), bucket, "{duration_ms} ms");
    }
}

#[test]
fn percentiles_are_upper_bounds_of_their_buckets() {
    let mut line = ProviderReportRow::default();
    line.durations[duration_bucket(10)] = 94;
    line.durations[duration_bucket(400)] = 5;
    line.durations[duration_bucket(99_999)] = 1;
    for (part, bound) in [
        (0.0, 12),
        (0.5, 12),
        (0.94, 12),
        (0.95, 500),
        (0.99, 500),
        (1.0, 60_000),
    ] {
        assert_eq!(line.percentile_ms(part), Some(bound), "{part}");
    }
}

#[test]
fn totals_add_up() {
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
