//! The live screen of `console monitor`: counters, rates, backlog, providers and the latest failures.
//!
//! The screen is redrawn at every poll. The keys q, Esc and Ctrl-C end it. Phone numbers are masked as on the pages.

use std::io::IsTerminal;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Constraint::{Length, Min};
use ratatui::layout::{Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};
use tokio::sync::mpsc;

use super::monitored_store::{MonitorView, MonitoredStore, poll_delay};
use crate::commands::signals::TerminationSignals;
use crate::commands::{displayed_address, format_age, format_percent, format_time, or_dash};
use postrider_core::circuit_breaker::CircuitState;
use postrider_core::clock::{self, Clock, Timestamp};
use postrider_core::duration::format_duration;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::report::{ProviderReportRow, Report};
use postrider_core::shared_health::COOLDOWN;
use postrider_core::shared_health::SharedHealth;
use postrider_engine::config::Config;
use postrider_engine::status::StatusOverview;
use postrider_loadgen::rate::to_f64;

/// Interval at which the key reader checks whether the screen has ended.
const KEY_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Text for a closed circuit breaker.
const CLOSED: &str = "closed";

/// Content of the screen.
#[derive(Default)]
struct ScreenState {
    overview: StatusOverview,
    /// Report of the previous poll, for the rates.
    previous_report: Option<Report>,
    /// Error of the last poll.
    error: Option<String>,
    interval: Duration,
}

/// An event of the keyboard or of the terminal.
enum ScreenEvent {
    Quit,
    Redraw,
}

/// Shows the screen until a key or a signal ends it, then restores the terminal.
pub async fn run_screen(
    store: &mut MonitoredStore,
    interval: Duration,
    signals: &mut TerminationSignals,
) -> Result<()> {
    let _guard = TerminalGuard::new();
    let terminal = ratatui::try_init();
    let mut terminal =
        terminal.map_err(|cause| terminal_error("cannot use the terminal; try --plain", cause))?;
    run_event_loop(store, interval, signals, &mut terminal).await
}

/// Disables the log while its lines would appear on the screen. Restores the terminal and the log level on drop.
struct TerminalGuard(log::LevelFilter);

impl TerminalGuard {
    fn new() -> Self {
        let level = log::max_level();
        if std::io::stderr().is_terminal() {
            log::set_max_level(log::LevelFilter::Off);
        }
        Self(level)
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        ratatui::restore();
        log::set_max_level(self.0);
    }
}

async fn run_event_loop(
    store: &mut MonitoredStore,
    interval: Duration,
    signals: &mut TerminationSignals,
    terminal: &mut ratatui::DefaultTerminal,
) -> Result<()> {
    let mut keys = spawn_key_reader();
    let mut screen_state =
        ScreenState { interval, error: Some("connecting to the store".to_owned()), ..ScreenState::default() };
    let mut draw_screen = |screen_state: &ScreenState, config: &Config| {
        let drawn = terminal.draw(|frame| draw(frame, screen_state, config));
        drawn.map(drop).map_err(|cause| terminal_error("cannot draw on the terminal", cause))
    };
    draw_screen(&screen_state, &store.config)?;
    loop {
        let poll_stopwatch = Clock::System.stopwatch();
        let status_result = tokio::select! {
            status_result = store.read_status(MonitorView::Screen) => status_result?,
            () = signals.recv() => return Ok(()),
            () = wait_for_quit(&mut keys) => return Ok(()),
        };
        let delay = poll_delay(interval, status_result.is_err());
        screen_state.apply_poll_result(status_result);
        loop {
            draw_screen(&screen_state, &store.config)?;
            tokio::select! {
                () = clock::sleep(delay.saturating_sub(poll_stopwatch.elapsed())) => break,
                () = signals.recv() => return Ok(()),
                event = keys.recv() => match event {
                    Some(ScreenEvent::Redraw) => {}
                    Some(ScreenEvent::Quit) | None => return Ok(()),
                },
            }
        }
    }
}

/// Waits for a key that ends the screen. It runs beside a poll, so that the key works while the poll waits for the
/// store.
async fn wait_for_quit(keys: &mut mpsc::Receiver<ScreenEvent>) {
    while let Some(ScreenEvent::Redraw) = keys.recv().await {}
}

fn terminal_error(message: &str, cause: std::io::Error) -> Error {
    Error::with_source(ErrorKind::Unavailable, message, cause)
}

/// Reads keys on a separate thread, because reading blocks. The thread ends soon after the receiver was dropped.
fn spawn_key_reader() -> mpsc::Receiver<ScreenEvent> {
    let (sender, receiver) = mpsc::channel(8);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            match event::poll(KEY_POLL_INTERVAL) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(_) => return,
            }
            let event = match event::read() {
                Ok(Event::Key(key)) if is_quit_key(key) => ScreenEvent::Quit,
                Ok(Event::Resize(..)) => ScreenEvent::Redraw,
                Ok(_) => continue,
                Err(_) => return,
            };
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

fn is_quit_key(key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

impl ScreenState {
    fn apply_poll_result(&mut self, status_result: std::result::Result<StatusOverview, String>) {
        match status_result {
            Ok(overview) => {
                let previous_report = std::mem::replace(&mut self.overview, overview).report;
                // Before the first poll there is no report, so the first poll has no rate.
                self.previous_report =
                    (previous_report.as_of > Timestamp::UNIX_EPOCH).then_some(previous_report);
                self.error = None;
            }
            Err(problem) => self.error = Some(problem),
        }
    }

    /// Returns the rate of a count per second since the previous poll; `None` at the first poll.
    fn rate(&self, count: impl Fn(&Report) -> u64) -> Option<f64> {
        let (current, previous) = (&self.overview.report, self.previous_report.as_ref()?);
        let seconds = (current.as_of - previous.as_of).as_seconds_f64();
        (seconds > 0.0).then(|| to_f64(count(current).saturating_sub(count(previous))) / seconds)
    }
}

fn draw(frame: &mut Frame<'_>, screen_state: &ScreenState, config: &Config) {
    let providers = provider_rows(screen_state, config);
    let providers_height = u16::try_from(providers.len() + 3).unwrap_or(u16::MAX);
    let heights = [Length(1), Length(8), Length(providers_height.min(14)), Min(4)];
    let [header_area, counters_area, providers_area, failures_area] =
        Layout::vertical(heights).areas(frame.area());
    frame.render_widget(header_line(screen_state), header_area);
    draw_counters(frame, screen_state, counters_area);
    draw_providers(frame, providers, providers_area);
    draw_failures(frame, screen_state, config, failures_area);
}

fn header_line(screen_state: &ScreenState) -> Paragraph<'_> {
    let header = match &screen_state.error {
        Some(problem) => Line::styled(format!(" {problem}"), Style::new().fg(Color::Red)),
        None => Line::styled(
            format!(
                " Postrider at {} · every {} · q quits",
                format_time(screen_state.overview.report.as_of),
                format_duration(screen_state.interval)
            ),
            Style::new().add_modifier(Modifier::BOLD),
        ),
    };
    Paragraph::new(header)
}

fn draw_counters(frame: &mut Frame<'_>, screen_state: &ScreenState, area: Rect) {
    let report = &screen_state.overview.report;
    let totals = &report.totals;
    let rate =
        |count: fn(&Report) -> u64| or_dash(screen_state.rate(count).map(|rate| format!("{rate:.1}/s")));
    let backlog = match screen_state.overview.oldest_due_at {
        Some(due_at) => format!("oldest due {} ago", format_age(due_at, report.as_of)),
        None => "none overdue".to_owned(),
    };
    let mean_time = or_dash(screen_state.overview.mean_seconds().map(|mean| format!("{mean:.4} s per call")));
    let rows = [
        ("accepted", report.messages, rate(|report| report.messages)),
        ("waiting", totals.waiting, backlog),
        ("sent", totals.sent, rate(|report| report.totals.sent + report.totals.delivered)),
        ("delivered", totals.delivered, rate(|report| report.totals.delivered)),
        ("failed", totals.failed_sum(), rate(|report| report.totals.failed_sum())),
        ("unknown", totals.unknown, mean_time),
    ];
    let rows = rows.map(|(name, count, remark)| {
        let style = match name {
            "failed" | "unknown" if count > 0 => Style::new().fg(Color::Red),
            _ => Style::new(),
        };
        Row::new([name.to_owned(), count.to_string(), remark]).style(style)
    });
    let widths = [Length(10), Length(12), Min(20)];
    frame.render_widget(Table::new(rows, widths).block(Block::bordered().title(" messages ")), area);
}

/// Returns the columns of each provider: name, circuit breaker, attempts, failures, mean call time.
fn provider_rows(state: &ScreenState, config: &Config) -> Vec<[String; 5]> {
    let report = &state.overview.report;
    let configured = config.providers.iter().map(|provider| provider.name.as_str());
    let mut provider_names: Vec<&str> = configured.collect();
    for reported in &report.providers {
        if !provider_names.contains(&reported.name.as_str()) {
            provider_names.push(&reported.name);
        }
    }
    let empty_row = ProviderReportRow::default();
    let provider_row = |name: &str| {
        let reported = report.providers.iter().find(|row| row.name == name).unwrap_or(&empty_row);
        let health = state.overview.provider_health.iter().find(|health| health.provider.as_str() == name);
        [
            name.to_owned(),
            health.map_or_else(|| CLOSED.to_owned(), |health| format_circuit(health, report.as_of)),
            reported.attempts().to_string(),
            format_percent(reported.fault_percent()),
            or_dash(reported.mean_seconds().map(|mean| format!("{mean:.4} s"))),
        ]
    };
    provider_names.into_iter().map(provider_row).collect()
}

fn format_circuit(health: &SharedHealth, now: Timestamp) -> String {
    let clock_time = |time: Timestamp| time.format("%H:%M:%S").to_string();
    let (state, _) = health.description(now);
    match (&health.circuit, health.cooldown_until) {
        (CircuitState::Misconfigured { reason, .. }, _) => format!("{state}: {reason}"),
        (_, Some(blocked_until)) if state == COOLDOWN => {
            format!("{state} until {}", clock_time(blocked_until))
        }
        (CircuitState::Open { until: blocked_until, .. }, _) if *blocked_until > now => {
            format!("{state} until {}", clock_time(*blocked_until))
        }
        (CircuitState::Open { .. }, _) => format!("{state}: the next message probes it"),
        (CircuitState::Closed | CircuitState::HalfOpen { .. }, _) => state.to_owned(),
    }
}

fn draw_providers(frame: &mut Frame<'_>, rows: Vec<[String; 5]>, area: Rect) {
    let rows = rows.into_iter().map(|row| {
        let color = if row[1] == CLOSED { Color::Green } else { Color::Yellow };
        let cells = row.into_iter().enumerate().map(|(column, text)| match column {
            1 => Cell::from(text).style(Style::new().fg(color)),
            _ => Cell::from(text),
        });
        Row::new(cells.collect::<Vec<_>>())
    });
    let widths = [Length(20), Min(24), Length(12), Length(9), Length(11)];
    let head = Row::new(["provider", "circuit", "attempts", "failures", "mean time"]);
    let provider_table =
        Table::new(rows, widths).header(head.style(Style::new().add_modifier(Modifier::DIM)));
    frame.render_widget(provider_table.block(Block::bordered().title(" providers ")), area);
}

fn draw_failures(frame: &mut Frame<'_>, state: &ScreenState, config: &Config, area: Rect) {
    let rows = state.overview.failures.iter().map(|failure| {
        Row::new([
            failure.at.format("%H:%M:%S").to_string(),
            failure.channel.clone(),
            displayed_address(&failure.spelling, config),
            failure.failure.to_owned(),
            failure.reason.clone(),
        ])
    });
    let widths = [Length(9), Length(10), Length(18), Length(18), Min(10)];
    let block = Block::bordered().title(" recent failures ");
    frame.render_widget(Table::new(rows, widths).block(block), area);
}

#[cfg(test)]
mod tests;
