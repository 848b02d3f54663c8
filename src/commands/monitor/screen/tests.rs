use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use postrider_core::report::DeliveryTotals;
use postrider_engine::status::FailureLine;

fn noon_plus(second: u32) -> Timestamp {
    format!("2026-05-01T12:00:{second:02}Z").parse().unwrap()
}

fn overview_at(second: u32, sent: u64, failed: u64) -> StatusOverview {
    let mut outcomes = [0; 8];
    (outcomes[0], outcomes[2]) = (sent, failed);
    StatusOverview {
        report: Report {
            as_of: noon_plus(second),
            messages: 1_000,
            totals: DeliveryTotals {
                waiting: 1_000 - sent - failed,
                sent,
                failed: vec![("exhausted".to_owned(), failed)],
                ..DeliveryTotals::default()
            },
            providers: vec![ProviderReportRow {
                name: "mock-blue".to_owned(),
                outcomes,
                timed_attempts: sent + failed,
                duration_sum_ms: 100 * (sent + failed),
                ..ProviderReportRow::default()
            }],
            ..Report::default()
        },
        oldest_due_at: Some(noon_plus(0)),
        provider_health: vec![SharedHealth {
            provider: "mock-red".parse().unwrap(),
            circuit: CircuitState::Open { until: noon_plus(59), backoff_factor: 1 },
            cooldown_until: None,
            since: noon_plus(0),
            version: 1,
        }],
        failures: vec![FailureLine {
            at: noon_plus(second),
            spelling: "09122222222".to_owned(),
            channel: "sms".to_owned(),
            failure: "exhausted",
            reason: "gave up after 3 tries".to_owned(),
        }],
    }
}

fn render_to_string(state: &ScreenState, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, &Config::test_mode())).unwrap();
    terminal.backend().to_string()
}

#[test]
fn the_screen_shows_counters_rates_circuits_and_failures() {
    let mut state = ScreenState::default();
    state.apply_poll_result(Ok(overview_at(10, 200, 100)));
    assert!(!render_to_string(&state, 100, 30).contains("/s"), "no rate at the first poll");
    state.apply_poll_result(Ok(overview_at(20, 700, 150)));
    let screen = render_to_string(&state, 100, 30);
    for text in [
        "accepted   1000",
        "waiting    150          oldest due 20 s ago",
        "sent       700          50.0/s",
        "failed     150          5.0/s",
        "0.1000 s per call",
        "mock-blue            closed",
        "17.6 %",
        "open until 12:00:59",
        "exhausted          gave up after 3 tries",
    ] {
        assert!(screen.contains(text), "{text}\n{screen}");
    }
    assert!(!screen.contains("09122222222"), "phone numbers are masked");
}

#[test]
fn a_cooldown_and_an_open_period_that_is_over_are_shown_as_such() {
    let open = |until| CircuitState::Open { until: noon_plus(until), backoff_factor: 1 };
    for (circuit, cooldown_until, expected) in [
        (CircuitState::Closed, Some(noon_plus(59)), "cooldown until 12:00:59"),
        (open(59), Some(noon_plus(59)), "cooldown until 12:00:59"),
        (open(59), Some(noon_plus(5)), "open until 12:00:59"),
        (open(9), Some(noon_plus(9)), "half_open: the next message probes it"),
    ] {
        let mut overview = overview_at(10, 200, 100);
        overview.provider_health[0].circuit = circuit;
        overview.provider_health[0].cooldown_until = cooldown_until;
        let mut state = ScreenState::default();
        state.apply_poll_result(Ok(overview));
        let screen = render_to_string(&state, 110, 30);
        assert!(screen.contains(expected), "{expected}\n{screen}");
    }
}

#[test]
fn an_empty_screen_and_one_that_is_too_small_are_drawn() {
    let state = ScreenState::default();
    assert!(render_to_string(&state, 80, 24).contains("none overdue"));
    assert_eq!(render_to_string(&state, 10, 3).lines().count(), 3);
}

#[test]
fn an_error_is_shown_above_the_last_values() {
    let mut state = ScreenState::default();
    state.apply_poll_result(Ok(overview_at(10, 200, 100)));
    state.apply_poll_result(Err("cannot reach the store".to_owned()));
    let screen = render_to_string(&state, 100, 30);
    assert!(screen.contains("cannot reach") && screen.contains("sent       200"), "{screen}");
}
