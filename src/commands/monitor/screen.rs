//! The live screen of `console monitor`: counters, rates, what waits longest, providers, the latest failures.
//!
//! Drawn anew at every look. Reads keys; q, Esc or Ctrl-C end it. Numbers of people are masked as on the pages.

use std::io::IsTerminal;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};
use tokio::sync::mpsc;

use super::super::signals::TerminationSignals;
use super::super::{format_age, format_time, to_f64};
use super::{MonitorView, MonitoredStore, poll_delay};
use postrider_core::address::mask_address;
use postrider_core::circuit_breaker::CircuitState;
use postrider_core::clock::{self, Clock, Timestamp};
use postrider_core::duration::format_duration;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::report::{ProviderReportRow, Report};
use postrider_core::shared_health::SharedHealth;
use postrider_engine::config::Config;
use postrider_engine::status::StatusOverview;

/// How soon a key that ends it is heard once nobody listens any more.
const KEY_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// What is on the screen.
#[derive(Default)]
struct ScreenState {
    overview: StatusOverview,
    /// The report of the look before, for the rates.
    previous_report: Option<Report>,
    /// Why the last look failed.
    error: Option<String>,
    interval: Duration,
}

/// What a key, or the terminal itself, asks for.
enum ScreenEvent {
    Quit,
    Redraw,
}

/// Shows the screen until a key or a signal ends it; leaves the terminal as it was.
pub async fn run_screen(
    watch: &mut MonitoredStore,
    interval: Duration,
    signals: &mut TerminationSignals,
) -> Result<()> {
    let _restored = TerminalGuard::new();
    let terminal = ratatui::try_init();
    let mut terminal =
        terminal.map_err(|cause| terminal_error("cannot use the terminal; try --plain", cause))?;
    run_event_loop(watch, interval, signals, &mut terminal).await
}

/// The terminal and the log as they were, also where the screen was set up in part. Until then lines of the log, which
/// would be written across the screen, are not, unless they go elsewhere.
struct TerminalGuard(log::LevelFilter);

impl TerminalGuard {
    fn new() -> Self {
        let logged = log::max_level();
        if std::io::stderr().is_terminal() {
            log::set_max_level(log::LevelFilter::Off);
        }
        Self(logged)
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        ratatui::restore();
        log::set_max_level(self.0);
    }
}

async fn run_event_loop(
    watch: &mut MonitoredStore,
    interval: Duration,
    signals: &mut TerminationSignals,
    terminal: &mut ratatui::DefaultTerminal,
) -> Result<()> {
    let mut keys = spawn_key_reader();
    let mut view = ScreenState {
        interval,
        error: Some("looking for the store".to_owned()),
        ..ScreenState::default()
    };
    let mut show = |view: &ScreenState, config: &Config| {
        let drawn = terminal.draw(|frame| draw(frame, view, config));
        drawn
            .map(drop)
            .map_err(|cause| terminal_error("cannot draw on the terminal", cause))
    };
    show(&view, &watch.config)?;
    loop {
        let began = Clock::System.stopwatch();
        let seen = tokio::select! {
            seen = watch.read_status(MonitorView::Screen) => seen?,
            () = signals.recv() => return Ok(()),
            () = wait_for_quit(&mut keys) => return Ok(()),
        };
        let wait = poll_delay(interval, seen.is_err());
        view.apply_poll_result(seen);
        loop {
            show(&view, &watch.config)?;
            tokio::select! {
                () = clock::sleep(wait.saturating_sub(began.elapsed())) => break,
                () = signals.recv() => return Ok(()),
                wish = keys.recv() => match wish {
                    Some(ScreenEvent::Redraw) => {}
                    Some(ScreenEvent::Quit) | None => return Ok(()),
                },
            }
        }
    }
}

/// Waits for a key that ends it. A look may last as long as the store is silent.
async fn wait_for_quit(keys: &mut mpsc::Receiver<ScreenEvent>) {
    while let Some(ScreenEvent::Redraw) = keys.recv().await {}
}

fn terminal_error(act: &str, cause: std::io::Error) -> Error {
    Error::with_source(ErrorKind::Unavailable, act, cause)
}

/// Keys block whoever reads them, so a thread of their own does; it ends soon after nobody listens.
fn spawn_key_reader() -> mpsc::Receiver<ScreenEvent> {
    let (tell, told) = mpsc::channel(8);
    std::thread::spawn(move || {
        while !tell.is_closed() {
            match event::poll(KEY_POLL_INTERVAL) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(_) => return,
            }
            let wish = match event::read() {
                Ok(Event::Key(key)) if is_quit_key(key) => ScreenEvent::Quit,
                Ok(Event::Resize(..)) => ScreenEvent::Redraw,
                Ok(_) => continue,
                Err(_) => return,
            };
            if tell.blocking_send(wish).is_err() {
                return;
            }
        }
    });
    told
}

fn is_quit_key(key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

impl ScreenState {
    fn apply_poll_result(&mut self, seen: std::result::Result<StatusOverview, String>) {
        match seen {
            Ok(overview) => {
                let before = std::mem::replace(&mut self.overview, overview).report;
                // Before the first look there is nothing, and no rate either.
                self.previous_report = (before.as_of > Timestamp::UNIX_EPOCH).then_some(before);
                self.error = None;
            }
            Err(why) => self.error = Some(why),
        }
    }

    /// How many a second since the look before; none before the second.
    fn rate(&self, count: impl Fn(&Report) -> u64) -> Option<f64> {
        let (now, before) = (&self.overview.report, self.previous_report.as_ref()?);
        let seconds = (now.as_of - before.as_of).as_seconds_f64();
        (seconds > 0.0).then(|| to_f64(count(now).saturating_sub(count(before))) / seconds)
    }
}

fn draw(frame: &mut Frame<'_>, view: &ScreenState, config: &Config) {
    let providers = provider_rows(view, config);
    let height = u16::try_from(providers.len() + 3).unwrap_or(u16::MAX);
    let [head, counters, middle, failures] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(8),
        Constraint::Length(height.min(14)),
        Constraint::Min(4),
    ])
    .areas(frame.area());
    frame.render_widget(header_line(view), head);
    draw_counters(frame, view, counters);
    draw_providers(frame, providers, middle);
    draw_failures(frame, view, config, failures);
}

fn header_line(view: &ScreenState) -> Paragraph<'_> {
    let line = match &view.error {
        Some(why) => Line::styled(format!(" {why}"), Style::new().fg(Color::Red)),
        None => Line::styled(
            format!(
                " Postrider at {} · every {} · q ends",
                format_time(view.overview.report.as_of),
                format_duration(view.interval)
            ),
            Style::new().add_modifier(Modifier::BOLD),
        ),
    };
    Paragraph::new(line)
}

fn draw_counters(frame: &mut Frame<'_>, view: &ScreenState, area: Rect) {
    let report = &view.overview.report;
    let totals = &report.totals;
    let rate = |count: fn(&Report) -> u64| {
        let rate = view.rate(count);
        rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1} a second"))
    };
    let waits = match view.overview.oldest_due_at {
        Some(due_at) => format!("the oldest is due for {}", format_age(due_at, report.as_of)),
        None => "nothing is late".to_owned(),
    };
    let mean = view.overview.mean_seconds();
    let mean = mean.map_or_else(|| "-".to_owned(), |mean| format!("{mean:.4} s a call"));
    let rows = [
        ("accepted", report.messages, rate(|report| report.messages)),
        ("waiting", totals.waiting, waits),
        (
            "sent",
            totals.sent,
            rate(|report| report.totals.sent + report.totals.delivered),
        ),
        (
            "delivered",
            totals.delivered,
            rate(|report| report.totals.delivered),
        ),
        (
            "failed",
            totals.failed_sum(),
            rate(|report| report.totals.failed_sum()),
        ),
        ("unknown", totals.unknown, mean),
    ];
    let rows = rows.map(|(word, count, remark)| {
        let style = match word {
            "failed" | "unknown" if count > 0 => Style::new().fg(Color::Red),
            _ => Style::new(),
        };
        Row::new([word.to_owned(), count.to_string(), remark]).style(style)
    });
    let widths = [
        Constraint::Length(10),
        Constraint::Length(12),
        Constraint::Min(20),
    ];
    frame.render_widget(
        Table::new(rows, widths).block(Block::bordered().title(" messages ")),
        area,
    );
}

/// Name, health, calls, faults, average.
fn provider_rows(view: &ScreenState, config: &Config) -> Vec<[String; 5]> {
    let report = &view.overview.report;
    let mut names: Vec<&str> = config
        .providers
        .iter()
        .map(|provider| provider.name.as_str())
        .collect();
    let others = report.providers.iter().map(|line| line.name.as_str());
    for name in others {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let nothing = ProviderReportRow::default();
    let row = |name: &str| {
        let line = report
            .providers
            .iter()
            .find(|line| line.name == name)
            .unwrap_or(&nothing);
        let known = view
            .overview
            .provider_health
            .iter()
            .find(|known| known.provider.as_str() == name);
        let or_nothing = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        [
            name.to_owned(),
            known.map_or_else(|| "well".to_owned(), |known| format_health(known, report.as_of)),
            line.attempts().to_string(),
            or_nothing(line.fault_percent().map(|percent| format!("{percent:.1} %"))),
            or_nothing(line.mean_seconds().map(|mean| format!("{mean:.4} s"))),
        ]
    };
    names.into_iter().map(row).collect()
}

fn format_health(known: &SharedHealth, now: Timestamp) -> String {
    let until = |until: Timestamp| until.format("%H:%M:%S").to_string();
    match (&known.circuit, known.cooldown_until) {
        (CircuitState::Closed, Some(paused)) if paused > now => format!("paused until {}", until(paused)),
        (CircuitState::Closed, _) => "well".to_owned(),
        (CircuitState::Open { until: end, .. }, _) => format!("resting until {}", until(*end)),
        (CircuitState::HalfOpen { .. }, _) => "probing".to_owned(),
        (CircuitState::Misconfigured { reason }, _) => format!("out: {reason}"),
    }
}

fn draw_providers(frame: &mut Frame<'_>, rows: Vec<[String; 5]>, area: Rect) {
    let rows = rows.into_iter().map(|row| {
        let color = if row[1] == "well" {
            Color::Green
        } else {
            Color::Yellow
        };
        let cells = row.into_iter().enumerate().map(|(place, text)| match place {
            1 => Cell::from(text).style(Style::new().fg(color)),
            _ => Cell::from(text),
        });
        Row::new(cells.collect::<Vec<_>>())
    });
    let widths = [
        Constraint::Length(20),
        Constraint::Min(24),
        Constraint::Length(12),
        Constraint::Length(9),
        Constraint::Length(11),
    ];
    let head = Row::new(["provider", "health", "calls", "faults", "average"]);
    let table = Table::new(rows, widths).header(head.style(Style::new().add_modifier(Modifier::DIM)));
    frame.render_widget(table.block(Block::bordered().title(" providers ")), area);
}

fn draw_failures(frame: &mut Frame<'_>, view: &ScreenState, config: &Config, area: Rect) {
    let rows = view.overview.failures.iter().map(|line| {
        let to = if config.mask_numbers {
            mask_address(&line.spelling)
        } else {
            line.spelling.clone()
        };
        Row::new([
            line.at.format("%H:%M:%S").to_string(),
            line.channel.clone(),
            to,
            line.failure.to_owned(),
            line.reason.clone(),
        ])
    });
    let widths = [
        Constraint::Length(9),
        Constraint::Length(10),
        Constraint::Length(18),
        Constraint::Length(18),
        Constraint::Min(10),
    ];
    let title = " failed lately ";
    frame.render_widget(
        Table::new(rows, widths).block(Block::bordered().title(title)),
        area,
    );
}

#[cfg(test)]
mod tests;
