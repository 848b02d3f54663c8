use chrono::{TimeZone, Utc};

use super::*;

fn at(day: u32, hour: u32, minute: u32) -> Timestamp {
    Utc.with_ymd_and_hms(2026, 11, day, hour, minute, 0).unwrap()
}

fn hour(day: u32, hour: u32, accepted: u64, sent: u64, failed: u64) -> HourReportRow {
    HourReportRow { hour: at(day, hour, 0), accepted, sent, failed }
}

#[test]
fn the_axis_has_round_numbers_and_reaches_the_highest_value() {
    assert_eq!(axis_counts(0), [0, 1]);
    assert_eq!(axis_counts(5), [0, 1, 2, 3, 4, 5]);
    assert_eq!(axis_counts(7), [0, 2, 4, 6, 8]);
    assert_eq!(axis_counts(1_234), [0, 500, 1_000, 1_500]);
    assert!(axis_counts(u64::MAX).len() <= 7);
}

#[test]
fn the_segments_of_a_bar_stand_on_each_other() {
    let counted = [hour(21, 9, 10, 4, 1)];
    let plot = HourlyCounts::until(at(21, 9, 30), &counted).plot(&WIDE, "");
    // The count axis ends at 10, so one delivery has 20 of 200 units; the last hour begins at 68 + 47 * 20.
    assert_eq!(
        plot.bar_paths.map(|(class, path)| format!("{class} {path}")),
        ["sent M1010 226V146h16V226z", "failed M1010 146V126h16V146z", "waiting M1010 126V26h16V126z"]
    );
}

#[test]
fn one_failure_among_thousands_of_deliveries_is_visible() {
    let counted = [hour(21, 9, 5_000, 4_999, 1)];
    let plot = HourlyCounts::until(at(21, 9, 30), &counted).plot(&WIDE, "");
    assert_eq!(plot.bar_paths[1].1, "M1010 26V25h16V26z");
}

#[test]
fn a_day_begins_at_midnight_utc() {
    let plot = HourlyCounts::until(at(21, 9, 30), &[]).plot(&NARROW, "");
    let labels: Vec<_> =
        plot.hour_labels.iter().map(|label| (label.text.as_str(), label.is_midnight)).collect();
    assert_eq!(labels, [("12:00", false), ("Nov 20", true), ("12:00", false), ("Nov 21", true)]);
}

#[test]
fn the_plot_has_a_title_and_a_description_for_screen_readers() {
    let svg = HourlyCounts::until(at(21, 9, 30), &[]).plot(&WIDE, "5 < 7").render().unwrap();
    assert!(
        svg.contains("<title id=\"plot-wide-title\">Deliveries accepted per hour, by state</title>"),
        "{svg}"
    );
    assert!(svg.contains("<desc id=\"plot-wide-description\">5 &#60; 7</desc>"), "{svg}");
}

#[test]
fn hours_outside_the_two_days_are_left_out() {
    let counted = [hour(18, 9, 5, 5, 0), hour(20, 9, 3, 3, 0), hour(21, 9, 2, 1, 1), hour(22, 9, 9, 9, 0)];
    assert_eq!(HourlyCounts::until(at(21, 9, 30), &counted).accepted(), 5);
}

#[test]
fn all_colours_are_classes() {
    let counted = [hour(20, 12, 30, 20, 5), hour(21, 9, 10, 10, 0)];
    for size in [WIDE, NARROW] {
        let svg = HourlyCounts::until(at(21, 9, 30), &counted).plot(&size, "").render().unwrap();
        assert!(!svg.contains("=\"#"), "{svg}");
        assert!(!svg.contains("style="), "{svg}");
        for class in ["ink", "grid", "sent", "waiting", "failed"] {
            assert!(svg.contains(&format!("class=\"{class}\"")), "{class}: {svg}");
        }
    }
}

#[test]
fn hours_without_deliveries_have_no_bar() {
    let svg = HourlyCounts::until(at(21, 9, 30), &[]).plot(&WIDE, "").render().unwrap();
    assert!(!svg.contains("<path class"), "{svg}");
}
