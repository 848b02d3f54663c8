//! `/operate`: what waits, how the providers do, and what failed last.
//!
//! Numbers come from the newest report, from what waits now, and from the lanes; the failures are the newest few.

use askama::Template;
use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::super::format;
use super::super::layout::{self, PageLayout};
use super::actions::Notice;
use super::delivery_list::DeliveryRow;
use super::{OperateState, Operator, live_updates};
use crate::native;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::error::Result;
use postrider_core::report::{ProviderReportRow, Report, percent};
use postrider_engine::gateway::{Gateway, ProviderRuntime};
use postrider_engine::search::{self, DeliverySearchFilter, StateFilter};

/// How many of the newest failures are shown.
const FAILURES_MAX: usize = 10;

/// After how many seconds a browser without scripts asks again, and for what: not for what was said once.
const RELOAD_META: &str = "30; url=/operate";

/// The page at `/operate`.
#[derive(Template)]
#[template(path = "operate.html", whitespace = "minimize")]
struct OverviewPage {
    layout: PageLayout,
    token: String,
    operator: String,
    notice: Option<Notice>,
    now: String,
    waiting: [(&'static str, String); 3],
    providers: Vec<OperateProviderRow>,
    failures: Vec<DeliveryRow>,
}

/// How one provider stands.
struct OperateProviderRow {
    name: String,
    kind: String,
    circuit: &'static str,
    detail: String,
    shares: String,
    rate: String,
    in_flight: usize,
    concurrency: usize,
    attempts: String,
    share: String,
    fault: String,
    can_pause: bool,
    can_resume: bool,
}

/// The page as of now.
pub(super) async fn overview_page(
    gateway: &Gateway,
    desk: &OperateState,
    operator: &Operator<'_>,
    notice: Option<Notice>,
) -> Result<Response<Body>> {
    let report = super::newest_report(gateway, &desk.newest).await;
    let failed = DeliverySearchFilter {
        state: Some(StateFilter::State(DeliveryStateKind::Failed)),
        ..DeliverySearchFilter::default()
    };
    let found = search::search_deliveries(gateway, &failed, None, FAILURES_MAX).await?;
    let now = gateway.clock.now();
    let mask = gateway.config.mask_numbers;
    let page = OverviewPage {
        layout: PageLayout {
            reload: Some(RELOAD_META),
            ..PageLayout::new_live("Operate", gateway.is_test_mode(), report.as_ref())
        },
        token: operator.token.clone(),
        operator: operator.name.to_owned(),
        notice,
        now: format::time(now),
        waiting: live_updates::backlog_values(desk.live.backlog(gateway).await, now),
        providers: gateway
            .providers()
            .iter()
            .map(|lane| OperateProviderRow::of(gateway, lane, report.as_ref()))
            .collect(),
        failures: found
            .hits
            .iter()
            .map(|line| DeliveryRow::of(line, mask, now))
            .collect(),
    };
    layout::operator_page(StatusCode::OK, &page)
}

impl OperateProviderRow {
    fn of(gateway: &Gateway, lane: &ProviderRuntime, report: Option<&Report>) -> Self {
        let view = lane.status(gateway.clock.now());
        let mut configured = gateway.config.providers.iter();
        let config = configured.find(|provider| provider.name == lane.name);
        let lines = report.map_or(&[][..], |report| &report.providers);
        let line = lines.iter().find(|line| line.name == lane.name.as_str());
        let all: u64 = lines.iter().map(ProviderReportRow::attempts).sum();
        Self {
            name: lane.name.to_string(),
            kind: config.map(|config| config.kind.clone()).unwrap_or_default(),
            circuit: view.state,
            can_resume: view.can_resume(),
            detail: view.detail,
            shares: channel_shares(gateway, lane),
            rate: lane
                .rate
                .map_or_else(|| "no limit".to_owned(), |rate| format!("{rate} a second")),
            in_flight: view.in_flight,
            concurrency: lane.concurrency,
            attempts: line.map_or_else(
                || format::NOT_AVAILABLE.to_owned(),
                |line| format::count(line.attempts()),
            ),
            share: format::percent(line.and_then(|line| percent(line.attempts(), all))),
            fault: format::percent(line.and_then(ProviderReportRow::fault_percent)),
            can_pause: !view.is_paused,
        }
    }
}

/// Its part in each channel, as configured.
fn channel_shares(gateway: &Gateway, lane: &ProviderRuntime) -> String {
    let channels = gateway.config.channels.iter();
    let parts = channels.filter_map(|channel| native::provider_channel(channel, &lane.name));
    let words = parts.map(|part| {
        let native::ProviderChannelView {
            channel, strategy, ..
        } = &part;
        match (*strategy, part.share_percent) {
            ("failover", Some(share)) if share > 0.0 => format!("{channel}: first"),
            ("failover", _) => format!("{channel}: in reserve"),
            (_, Some(share)) => format!("{channel}: {}", format::percent(Some(share))),
            (_, None) => format!("{channel}: least busy"),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}
