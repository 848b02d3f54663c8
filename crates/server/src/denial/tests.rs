use super::*;

#[test]
fn each_reason_has_one_log_line_a_second_with_the_number_of_requests() {
    let (log, start) = (DenialLog::default(), Instant::now());
    assert_eq!(log.count_for_line("unknown_key", start), Some(1));
    for _ in 0..3_000 {
        assert_eq!(log.count_for_line("unknown_key", start + Duration::from_millis(999)), None);
    }
    assert_eq!(log.count_for_line("foreign_host", start), Some(1));
    assert_eq!(log.count_for_line("unknown_key", start + DENIAL_LOG_INTERVAL), Some(3_001));
    assert_eq!(log.count_for_line("unknown_key", start + DENIAL_LOG_INTERVAL), None);
}

#[test]
fn requests_without_a_key_are_counted() {
    let (log, metrics) = (DenialLog::default(), Metrics::default());
    log.record(&metrics, &Denial::MissingKey, IpAddr::from([192, 0, 2, 1]));
    assert!(metrics.openmetrics_text().contains("postrider_denied_total{reason=\"missing_key\"} 1"));
    assert!(metrics.openmetrics_text().contains("postrider_denied_total{reason=\"unknown_key\"} 0"));
}
