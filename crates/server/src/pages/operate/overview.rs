//! `/operate`: the queue, the providers, and the latest failures.
//!
//! Numbers come from the newest report, the current backlog, and the provider runtimes.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};

use super::super::format;
use super::super::layout::{self, PageLayout, PageResult};
use super::super::report_cache::ReportCache;
use super::delivery_row::DeliveryRow;
use super::live_updates::{self, LiveUpdates};
use super::notice::Notice;
use super::operator::Operator;
use crate::native;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind};
use postrider_core::report::Report;
use postrider_engine::gateway::{Gateway, ProviderRuntime};
use postrider_engine::search::{self, DeliverySearchFilter, DeliverySearchHit, StateFilter};
use postrider_engine::status::FAILURES_EXAMINED_MAX;

/// Number of latest failures on the page.
const FAILURES_MAX: usize = 10;

/// Reload of browsers without scripts: after 30 s, at a URL without the notice.
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
    backlog: [(&'static str, String); 4],
    providers: Vec<OperateProviderRow>,
    failures: Vec<DeliveryRow>,
}

/// One provider as a table row.
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

/// Handles `GET /operate`.
pub(super) async fn overview_page(
    State(gateway): State<Arc<Gateway>>,
    Extension(reports): Extension<Arc<ReportCache>>,
    Extension(live): Extension<Arc<LiveUpdates>>,
    operator: Operator,
    uri: Uri,
) -> PageResult {
    let cached = reports.report_if_known(&gateway).await;
    let report = cached.as_deref().map(|cached| &cached.report);
    let failed_filter = DeliverySearchFilter {
        state: Some(StateFilter::State(DeliveryStateKind::Failed)),
        ..DeliverySearchFilter::default()
    };
    let found = search::search_deliveries(&gateway, &failed_filter, None, FAILURES_EXAMINED_MAX).await?;
    let failures = latest_failures(found.hits);
    let now = gateway.clock.now();
    let mask = gateway.config.mask_numbers;
    let backlog = live.backlog(&gateway).await;
    let mut layout = PageLayout::new("Operate", gateway.is_test_mode(), report);
    if let (Some(summary), Some(backlog)) = (&mut layout.summary, backlog) {
        summary.set_waiting(backlog.waiting);
    }
    let page = OverviewPage {
        layout: PageLayout {
            is_live: true,
            reload: Some(RELOAD_META),
            problems: reports.problems(&gateway).await,
            ..layout
        },
        token: operator.token,
        operator: operator.name,
        notice: Notice::from_query(uri.query().unwrap_or_default()),
        now: format::time(now),
        backlog: live_updates::backlog_texts(backlog, now),
        providers: gateway
            .providers()
            .iter()
            .map(|provider| OperateProviderRow::of(&gateway, provider, report))
            .collect(),
        failures: failures.iter().map(|hit| DeliveryRow::of(hit, mask, now)).collect(),
    };
    Ok(layout::operator_page(StatusCode::OK, &page)?)
}

/// Returns the deliveries that failed last, the latest first.
fn latest_failures(mut hits: Vec<DeliverySearchHit>) -> Vec<DeliverySearchHit> {
    let failed_at = |hit: &DeliverySearchHit| match hit.delivery.state {
        DeliveryState::Failed { at, .. } => Some(at),
        DeliveryState::Waiting { .. } | DeliveryState::Sent { .. } | DeliveryState::Delivered { .. } => None,
    };
    hits.sort_by_key(|hit| std::cmp::Reverse(failed_at(hit)));
    hits.truncate(FAILURES_MAX);
    hits
}

impl OperateProviderRow {
    fn of(gateway: &Gateway, provider: &ProviderRuntime, report: Option<&Report>) -> Self {
        let provider_status = provider.status(gateway.clock.now());
        let mut configs = gateway.config.providers.iter();
        let config = configs.find(|config| config.name == provider.name);
        let reported = report.and_then(|report| native::provider_numbers(report, &provider.name));
        Self {
            name: provider.name.to_string(),
            kind: config.map(|config| config.kind.clone()).unwrap_or_default(),
            circuit: provider_status.state,
            can_resume: provider_status.can_resume(),
            detail: provider_status.detail,
            shares: channel_shares(gateway, provider),
            rate: provider.rate.map_or_else(|| "no limit".to_owned(), |rate| format!("{rate} per second")),
            in_flight: provider_status.in_flight,
            concurrency: provider.concurrency,
            attempts: format::or_dash(reported.map(|reported| format::count(reported.attempts))),
            share: format::percent(reported.and_then(|reported| reported.share_percent)),
            fault: format::percent(reported.and_then(|reported| reported.fault_percent)),
            can_pause: !provider_status.is_paused,
        }
    }
}

/// Returns the provider's configured share in each of its channels.
fn channel_shares(gateway: &Gateway, provider: &ProviderRuntime) -> String {
    let channels = gateway.config.channels.iter();
    let views = channels.filter_map(|channel| native::provider_channel(channel, &provider.name));
    let shares = views.map(|view| {
        let share = match (view.strategy, view.share_percent) {
            ("failover", Some(percent)) if percent > 0.0 => "first".to_owned(),
            ("failover", _) => "standby".to_owned(),
            (_, Some(percent)) => format::percent(Some(percent)),
            (_, None) => "least busy".to_owned(),
        };
        format!("{}: {share}", view.channel)
    });
    shares.collect::<Vec<_>>().join(", ")
}
