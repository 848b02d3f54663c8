//! The report as a page: every number with its name, what it counts and the time it speaks of.
//!
//! Reads nothing: a report and a setting go in, ready strings come out. Percentages of nothing are dashes.

use std::time::Duration;

use askama::Template;
use axum::body::Bytes;

use super::frame::{self, Frame};
use super::plot::{self, Hours};
use super::search::Results;
use super::words;
use crate::clock::Timestamp;
use crate::domain::report::{DURATION_BOUNDS_MS, ProviderLine, Report, TopLine, percent};
use crate::error::Result;
use crate::gateway::Gateway;

/// What shapes a page besides its numbers.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// Whether addresses are masked.
    pub mask: bool,
    /// Whether nothing really leaves.
    pub sandbox: bool,
    /// Whether callers need a key.
    pub keys: bool,
    /// How often the report is rebuilt; none: by cron.
    pub interval: Option<Duration>,
    /// How the outside reaches us.
    pub public_url: String,
}

impl Setting {
    /// The setting of that gateway.
    pub(super) fn of(gateway: &Gateway) -> Self {
        Self {
            mask: gateway.config.mask_numbers,
            sandbox: gateway.is_sandbox(),
            keys: !gateway.config.keys.is_empty(),
            interval: gateway.config.schedule.report,
            public_url: gateway.config.public_url.clone(),
        }
    }
}

/// The page at `/`, with or without a report, with or without the results of a search.
#[derive(Template)]
#[template(path = "report.html", whitespace = "minimize")]
pub(super) struct ReportPage {
    frame: Frame,
    public_url: String,
    keys: bool,
    interval: Option<String>,
    typed: String,
    results: Option<Results>,
    report: Option<Numbers>,
}

/// All that the report says, in words.
struct Numbers {
    as_of: String,
    next: Next,
    empty: bool,
    messages: String,
    deliveries: String,
    states: [StateRow; 4],
    failures: Vec<Counted>,
    opened: String,
    unknown: String,
    providers: Vec<ProviderRow>,
    hours: Option<Picture>,
    top: Vec<Counted>,
}

/// When the next report is due.
enum Next {
    Cron,
    At { due: String, every: String },
    Overdue { due: String },
}

/// A name and how often.
struct Counted {
    name: String,
    count: String,
}

/// A state of deliveries.
struct StateRow {
    name: &'static str,
    count: String,
    share: String,
    meaning: &'static str,
}

/// What one provider did.
struct ProviderRow {
    name: String,
    attempts: String,
    share: String,
    fault: String,
    faults: String,
    delivered: String,
    p50: String,
    p95: String,
}

/// The plot of hours at both widths, and what it shows in a sentence.
struct Picture {
    wide: String,
    narrow: String,
    sentence: String,
}

/// The page of that report. `overdue`: the next one should be there by now.
pub(super) fn render(report: &Report, overdue: bool, setting: &Setting) -> Result<Bytes> {
    frame::html(&ReportPage::new(Some((report, overdue)), None, setting))
}

impl ReportPage {
    /// A page from what there is.
    pub(super) fn new(
        report: Option<(&Report, bool)>,
        search: Option<(String, Results)>,
        setting: &Setting,
    ) -> Self {
        let (typed, results) = search.unzip();
        Self {
            frame: Frame::new("Report", setting.sandbox, report.map(|(report, _)| report)),
            public_url: setting.public_url.clone(),
            keys: setting.keys,
            interval: setting.interval.map(spoken_interval),
            typed: typed.unwrap_or_default(),
            results,
            report: report.map(|(report, overdue)| Numbers::of(report, overdue, setting)),
        }
    }
}

impl Numbers {
    fn of(report: &Report, overdue: bool, setting: &Setting) -> Self {
        let totals = &report.totals;
        let counted = |name: String, number: u64| Counted {
            name,
            count: words::count(number),
        };
        let address = |line: &TopLine| counted(words::address(&line.address, setting.mask), line.count);
        Self {
            as_of: words::moment(report.as_of),
            next: Next::of(report.as_of, overdue, setting.interval),
            empty: report.messages == 0,
            messages: words::count(report.messages),
            deliveries: words::count(totals.sum()),
            states: states(report),
            failures: totals
                .failed
                .iter()
                .map(|(word, number)| counted(words::spoken(word), *number))
                .collect(),
            opened: words::count(totals.opened),
            unknown: words::count(totals.unknown),
            providers: providers(&report.providers),
            hours: picture(report),
            top: report.top.iter().map(address).collect(),
        }
    }
}

impl Next {
    fn of(as_of: Timestamp, overdue: bool, interval: Option<Duration>) -> Self {
        let Some(interval) = interval else {
            return Self::Cron;
        };
        let due = words::moment(as_of + interval);
        if overdue {
            Self::Overdue { due }
        } else {
            let every = spoken_interval(interval);
            Self::At { due, every }
        }
    }
}

fn spoken_interval(interval: Duration) -> String {
    words::duration(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX))
}

fn states(report: &Report) -> [StateRow; 4] {
    let totals = &report.totals;
    let row = |name, number, meaning| StateRow {
        name,
        count: words::count(number),
        share: words::percent(percent(number, totals.sum())),
        meaning,
    };
    [
        row("waiting", totals.waiting, "not sent yet, or to be sent again"),
        row("sent", totals.sent, "a provider has it, no receipt yet"),
        row("delivered", totals.delivered, "a receipt says it has arrived"),
        row("failed", totals.failed_sum(), "will not be sent unless you ask"),
    ]
}

fn providers(lines: &[ProviderLine]) -> Vec<ProviderRow> {
    let all = lines.iter().map(ProviderLine::attempts).sum();
    let slowest = DURATION_BOUNDS_MS.last().copied().unwrap_or(u64::MAX);
    lines
        .iter()
        .map(|line| ProviderRow {
            name: line.name.clone(),
            attempts: words::count(line.attempts()),
            share: words::percent(percent(line.attempts(), all)),
            fault: words::percent(line.fault_percent()),
            faults: words::count(line.faults()),
            delivered: words::percent(line.delivered_percent()),
            p50: words::at_most(line.percentile_ms(0.50), slowest),
            p95: words::at_most(line.percentile_ms(0.95), slowest),
        })
        .collect()
}

fn picture(report: &Report) -> Option<Picture> {
    let hours = Hours::until(report.as_of, &report.hours);
    let busiest = hours.busiest()?;
    let sentence = format!(
        "{} accepted in the 48 hours up to the report's time; the busiest hour began at {} UTC with {}.",
        words::count(hours.accepted()),
        busiest.hour.format("%H:%M on %b %-d"),
        words::count(busiest.accepted),
    );
    Some(Picture {
        wide: hours.draw(&plot::WIDE)?,
        narrow: hours.draw(&plot::NARROW)?,
        sentence,
    })
}
