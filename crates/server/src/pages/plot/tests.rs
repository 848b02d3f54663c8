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
    assert_eq!(ticks(0), [0, 1]);
    assert_eq!(ticks(5), [0, 1, 2, 3, 4, 5]);
    assert_eq!(ticks(7), [0, 2, 4, 6, 8]);
    assert_eq!(ticks(1_234), [0, 500, 1_000, 1_500]);
    assert!(ticks(u64::MAX).len() <= 7);
}

#[test]
fn a_path_contains_only_the_coordinates_that_change() {
    assert_eq!(
        compact_paths(r#"<g/><polygon class="sent" points="1,9 1,2 8,2 8,9 11,9 "/> <b/>"#),
        r#"<g/><path class="sent" d="M1 9V2H8V9H11"/> <b/>"#
    );
}

#[test]
fn hours_outside_the_two_days_are_left_out() {
    let counted = [hour(18, 9, 5, 5, 0), hour(20, 9, 3, 3, 0), hour(21, 9, 2, 1, 1), hour(22, 9, 9, 9, 0)];
    assert_eq!(HourlyPlot::until(at(21, 9, 30), &counted).accepted(), 5);
}

#[test]
fn all_colours_are_classes() {
    let counted = [hour(20, 12, 30, 20, 5), hour(21, 9, 10, 10, 0)];
    for size in [WIDE, NARROW] {
        let svg = HourlyPlot::until(at(21, 9, 30), &counted).draw(&size).unwrap();
        assert!(!svg.contains("=\"#"), "{svg}");
        assert!(!svg.contains("style="), "{svg}");
        for class in ["ink", "grid", "sent", "waiting", "failed"] {
            assert!(svg.contains(&format!("class=\"{class}\"")), "{class}: {svg}");
        }
    }
}

#[test]
fn hours_without_deliveries_have_no_bar() {
    let svg = HourlyPlot::until(at(21, 9, 30), &[]).draw(&WIDE).unwrap();
    assert!(!svg.contains("<path"), "{svg}");
}
