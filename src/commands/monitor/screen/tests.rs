use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::domain::report::Totals;
use crate::flow::overview::FailureLine;

fn noon(second: u32) -> Timestamp {
    format!("2026-05-01T12:00:{second:02}Z").parse().unwrap()
}

fn seen(second: u32, sent: u64, failed: u64) -> Overview {
    let mut outcomes = [0; 8];
    (outcomes[0], outcomes[2]) = (sent, failed);
    Overview {
        report: Report {
            as_of: noon(second),
            messages: 1_000,
            totals: Totals {
                waiting: 1_000 - sent - failed,
                sent,
                failed: vec![("exhausted".to_owned(), failed)],
                ..Totals::default()
            },
            providers: vec![ProviderLine {
                name: "mock-blue".to_owned(),
                outcomes,
                timed: sent + failed,
                time_ms: 100 * (sent + failed),
                ..ProviderLine::default()
            }],
            ..Report::default()
        },
        oldest_due_at: Some(noon(0)),
        standings: vec![Known {
            provider: "mock-red".parse().unwrap(),
            told: Told::Resting {
                until: noon(59),
                times: 1,
            },
            paused_until: None,
            since: noon(0),
            version: 1,
        }],
        failures: vec![FailureLine {
            at: noon(second),
            spelling: "09122222222".to_owned(),
            channel: "sms".to_owned(),
            failure: "exhausted",
            reason: "gave up after 3 tries".to_owned(),
        }],
    }
}

fn drawn(view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| draw(frame, view, &Config::sandbox()))
        .unwrap();
    terminal.backend().to_string()
}

#[test]
fn a_screen_shows_counters_rates_health_and_failures() {
    let mut view = View::default();
    view.take(Ok(seen(10, 200, 100)));
    assert!(
        !drawn(&view, 100, 30).contains("a second"),
        "no rate before the second look"
    );
    view.take(Ok(seen(20, 700, 150)));
    let screen = drawn(&view, 100, 30);
    for words in [
        "accepted   1000",
        "waiting    150          the oldest is due for 20 s",
        "sent       700          50.0 a second",
        "failed     150          5.0 a second",
        "0.1000 s a call",
        "mock-blue            well",
        "17.6 %",
        "resting until 12:00:59",
        "exhausted          gave up after 3 tries",
    ] {
        assert!(screen.contains(words), "{words}\n{screen}");
    }
    assert!(!screen.contains("09122222222"), "numbers are masked");
}

#[test]
fn a_screen_of_nothing_and_one_that_is_too_small_are_drawn_as_well() {
    let view = View::default();
    assert!(drawn(&view, 80, 24).contains("nothing is late"));
    drawn(&view, 10, 3);
}

#[test]
fn what_is_wrong_stands_above_what_was_seen_last() {
    let mut view = View::default();
    view.take(Ok(seen(10, 200, 100)));
    view.take(Err("the store cannot be reached".to_owned()));
    let screen = drawn(&view, 100, 30);
    assert!(
        screen.contains("cannot be reached") && screen.contains("sent       200"),
        "{screen}"
    );
}
