//! The report as a page: every number with its name, meaning and time.
//!
//! The page is a pure function of a report and the settings. A percentage of zero is an en dash.

use std::time::Duration;

use askama::Template;
use axum::body::Bytes;

use super::format;
use super::layout::{self, PageLayout};
use super::plot::{self, HourlyCounts, HourlyPlot};
use super::search::NumberSearchResults;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::report::{DURATION_BOUNDS_MS, ProviderReportRow, Report, TopRecipientRow, percent};
use postrider_engine::gateway::Gateway;

/// Settings that shape the page.
#[derive(Clone, Debug)]
pub(super) struct PageSettings {
    /// Set to mask addresses.
    pub mask_numbers: bool,
    /// Set if all providers are mocks.
    pub test_mode: bool,
    /// Set if callers need an API key.
    pub needs_key: bool,
    /// Interval between reports; `None` if cron makes them.
    pub interval: Option<Duration>,
    /// URL under which clients reach the gateway.
    pub public_url: String,
    /// Current problems that delay deliveries. A page with problems is not kept in the cache.
    pub problems: Vec<String>,
}

impl PageSettings {
    /// Returns the settings of a gateway.
    pub(super) fn from_gateway(gateway: &Gateway) -> Self {
        Self {
            mask_numbers: gateway.config.mask_numbers,
            test_mode: gateway.is_test_mode(),
            needs_key: !gateway.api_keys().is_empty(),
            interval: gateway.config.schedule.report,
            public_url: gateway.config.public_url.clone(),
            problems: Vec::new(),
        }
    }
}

/// The page at `/`, with or without a report and the results of a search.
#[derive(Template)]
#[template(path = "report.html", whitespace = "minimize")]
pub(super) struct ReportPage {
    layout: PageLayout,
    public_url: String,
    needs_key: bool,
    interval: Option<String>,
    typed: String,
    results: Option<NumberSearchResults>,
    report: Option<ReportContent>,
}

/// Numbers of the report as text.
struct ReportContent {
    as_of: String,
    next: NextReport,
    is_empty: bool,
    messages: String,
    deliveries: String,
    states: [StateRow; 4],
    failures: Vec<NameCount>,
    opened: String,
    unknown: String,
    providers: Vec<ReportProviderRow>,
    hours: Option<HourlyPlots>,
    top: Vec<NameCount>,
}

/// Due time of the next report.
enum NextReport {
    Cron,
    At { due: String, every: String },
    Overdue { due: String },
}

/// A name with its count.
struct NameCount {
    name: String,
    count: String,
}

/// A delivery state with the count of its deliveries.
struct StateRow {
    name: &'static str,
    count: String,
    share: String,
    meaning: &'static str,
}

/// Numbers of one provider as a table row.
struct ReportProviderRow {
    name: String,
    attempts: String,
    share: String,
    fault: String,
    faults: String,
    delivered: String,
    p50: String,
    p95: String,
}

/// The hourly plot at both widths, and its content as a sentence.
struct HourlyPlots {
    wide: HourlyPlot,
    narrow: HourlyPlot,
    caption: String,
}

/// Renders the page of a report. `overdue` is set if the next report is overdue.
pub(super) fn render(report: &Report, overdue: bool, settings: &PageSettings) -> Result<Bytes> {
    layout::render_html(&ReportPage::new(Some((report, overdue)), None, settings))
}

impl ReportPage {
    /// Builds the page, with or without a report and search results.
    pub(super) fn new(
        report: Option<(&Report, bool)>,
        search: Option<(String, NumberSearchResults)>,
        page_settings: &PageSettings,
    ) -> Self {
        let (typed, results) = search.unzip();
        Self {
            layout: PageLayout {
                problems: page_settings.problems.clone(),
                ..PageLayout::new("Report", page_settings.test_mode, report.map(|(report, _)| report))
            },
            public_url: page_settings.public_url.clone(),
            needs_key: page_settings.needs_key,
            interval: page_settings.interval.map(interval_text),
            typed: typed.unwrap_or_default(),
            results,
            report: report.map(|(report, overdue)| ReportContent::of(report, overdue, page_settings)),
        }
    }
}

impl ReportContent {
    fn of(report: &Report, overdue: bool, page_settings: &PageSettings) -> Self {
        let totals = &report.totals;
        let name_count = |name: String, count: u64| NameCount { name, count: format::count(count) };
        let top_address = |row: &TopRecipientRow| {
            name_count(format::address(&row.address, page_settings.mask_numbers), row.count)
        };
        Self {
            as_of: format::time(report.as_of),
            next: NextReport::of(report.as_of, overdue, page_settings.interval),
            is_empty: report.messages == 0,
            messages: format::count(report.messages),
            deliveries: format::count(totals.sum()),
            states: state_rows(report),
            failures: totals
                .failed
                .iter()
                .map(|(failure, count)| name_count(format::humanize(failure), *count))
                .collect(),
            opened: format::count(totals.opened),
            unknown: format::count(totals.unknown),
            providers: provider_rows(&report.providers),
            hours: hourly_plots(report),
            top: report.top_recipients.iter().map(top_address).collect(),
        }
    }
}

impl NextReport {
    fn of(as_of: Timestamp, overdue: bool, interval: Option<Duration>) -> Self {
        let Some(interval) = interval else {
            return Self::Cron;
        };
        let due = format::time(as_of + interval);
        if overdue {
            Self::Overdue { due }
        } else {
            let every = interval_text(interval);
            Self::At { due, every }
        }
    }
}

fn interval_text(interval: Duration) -> String {
    format::duration(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX))
}

fn state_rows(report: &Report) -> [StateRow; 4] {
    let totals = &report.totals;
    let state_row = |name, count, meaning| StateRow {
        name,
        count: format::count(count),
        share: format::percent(percent(count, totals.sum())),
        meaning,
    };
    [
        state_row("waiting", totals.waiting, "not sent yet, or to be sent again"),
        state_row("sent", totals.sent, "accepted by a provider, no receipt yet"),
        state_row("delivered", totals.delivered, "arrived, according to a receipt"),
        state_row("failed", totals.failed_sum(), "not sent again unless an operator requests it"),
    ]
}

fn provider_rows(rows: &[ProviderReportRow]) -> Vec<ReportProviderRow> {
    let all_attempts = rows.iter().map(ProviderReportRow::attempts).sum();
    let longest_bound_ms = DURATION_BOUNDS_MS.last().copied().unwrap_or(u64::MAX);
    rows.iter()
        .map(|row| ReportProviderRow {
            name: row.name.clone(),
            attempts: format::count(row.attempts()),
            share: format::percent(percent(row.attempts(), all_attempts)),
            fault: format::percent(row.fault_percent()),
            faults: format::count(row.faults()),
            delivered: format::percent(row.delivered_percent()),
            p50: format::percentile(row.percentile_ms(0.50), longest_bound_ms),
            p95: format::percentile(row.percentile_ms(0.95), longest_bound_ms),
        })
        .collect()
}

fn hourly_plots(report: &Report) -> Option<HourlyPlots> {
    let hours = HourlyCounts::until(report.as_of, &report.hours);
    let busiest = hours.busiest()?;
    let caption = format!(
        "{} accepted in the 48 hours up to the report's time; the busiest hour began at {} UTC with {}.",
        format::count(hours.accepted()),
        busiest.hour.format("%H:%M on %b %-d"),
        format::count(busiest.accepted),
    );
    let [wide, narrow] = [plot::WIDE, plot::NARROW].map(|size| hours.plot(&size, &caption));
    Some(HourlyPlots { wide, narrow, caption })
}
