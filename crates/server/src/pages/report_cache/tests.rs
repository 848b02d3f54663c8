use super::super::tests::page_settings as settings;
use super::*;

#[test]
fn every_setting_of_the_page_changes_its_fingerprint() {
    let fingerprints = [
        settings(),
        PageSettings { mask_numbers: false, ..settings() },
        PageSettings { test_mode: false, ..settings() },
        PageSettings { interval: None, ..settings() },
    ]
    .map(|settings| page_fingerprint(&settings));
    for (index, fingerprint) in fingerprints.iter().enumerate() {
        assert!(!fingerprints[..index].contains(fingerprint), "{fingerprints:?}");
    }
    assert_eq!(page_fingerprint(&settings()), page_fingerprint(&settings()));
}

#[test]
fn a_report_is_overdue_a_minute_after_its_due_time() {
    let as_of = from_millis(0);
    let interval = Some(Duration::from_secs(1_200));
    let after = |seconds| as_of + Duration::from_secs(seconds);
    assert!(!is_overdue(as_of, interval, after(1_260)));
    assert!(is_overdue(as_of, interval, after(1_261)));
    assert!(!is_overdue(as_of, None, after(1_000_000)));
}
