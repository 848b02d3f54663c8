//! `GET /v1/providers`: how each provider stands now, and what it did as of the newest report.
//!
//! Shows no settings and no secret. A store that is away costs the report's numbers, not the answer.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::message_view::rfc3339;
use crate::auth;
use crate::openapi::AuthErrorResponses;
use postrider_core::channel::Channel;
use postrider_core::clock::Timestamp;
use postrider_core::name::ConfigName;
use postrider_core::report::{ProviderReportRow, Report, percent};
use postrider_core::routing::RoutingStrategy;
use postrider_engine::config::Scope;
use postrider_engine::gateway::{Gateway, ProviderRuntime};
use postrider_engine::sync_report;

/// Every provider, as of when the report's numbers are.
#[derive(Serialize, ToSchema)]
#[schema(as = Providers)]
pub(super) struct ProvidersView {
    /// In the order of the configuration.
    providers: Vec<ProviderView>,
    /// When the numbers of the report are from; null when there is none.
    #[schema(format = DateTime)]
    report_as_of: Option<String>,
}

/// A configured account at someone who carries messages.
#[derive(Serialize, ToSchema)]
#[schema(as = Provider)]
struct ProviderView {
    /// Its name.
    name: String,
    /// Its kind.
    kind: String,
    /// How it does, in a word.
    circuit: &'static str,
    /// How it does, in a sentence.
    detail: String,
    /// Whether it is asked now.
    available: bool,
    /// Whether it only plays a provider.
    mock: bool,
    /// The most messages a second.
    rate: Option<f64>,
    /// The most calls at once.
    concurrency: usize,
    /// Calls under way from this process.
    in_flight: usize,
    /// Where it takes part.
    channels: Vec<ProviderChannelView>,
    /// Calls made to it, as of the report.
    attempts: Option<u64>,
    /// Its share of all calls.
    share_percent: Option<f64>,
    /// Calls that failed through its own fault.
    fault_percent: Option<f64>,
}

/// A provider's part in a channel.
#[derive(Serialize, ToSchema)]
#[schema(as = ProviderPart)]
pub(crate) struct ProviderChannelView {
    /// Which channel.
    pub(crate) channel: String,
    /// How the channel chooses.
    pub(crate) strategy: &'static str,
    /// Its weight, where there are weights.
    weight: Option<u32>,
    /// The share it is meant to have.
    pub(crate) share_percent: Option<f64>,
}

/// Lists the providers in the order of the configuration.
#[utoipa::path(
    get,
    path = "/v1/providers",
    operation_id = "list_providers",
    tag = "native",
    responses((status = 200, description = "How each provider does.", body = ProvidersView), AuthErrorResponses)
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<Json<ProvidersView>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    let report = newest_report(&gateway).await;
    let now = gateway.clock.now();
    let providers = gateway
        .providers()
        .iter()
        .map(|lane| provider_view(&gateway, lane, report.as_ref(), now))
        .collect();
    Ok(Json(ProvidersView {
        providers,
        report_as_of: report.map(|report| rfc3339(report.as_of)),
    }))
}

async fn newest_report(gateway: &Gateway) -> Option<Report> {
    match sync_report::latest_report(gateway).await {
        Ok(newest) => newest.map(|(_, report)| report),
        Err(error) => {
            gateway.metrics.store_errors.inc();
            log::error!("providers are shown without their report: {}", error.chain());
            None
        }
    }
}

fn provider_view(
    gateway: &Gateway,
    lane: &ProviderRuntime,
    report: Option<&Report>,
    now: Timestamp,
) -> ProviderView {
    let standing = lane.status(now);
    let config = gateway
        .config
        .providers
        .iter()
        .find(|provider| provider.name == lane.name);
    let line = report.and_then(|report| {
        report
            .providers
            .iter()
            .find(|line| line.name == lane.name.as_str())
    });
    let all: u64 = report.map_or(0, |report| {
        report.providers.iter().map(ProviderReportRow::attempts).sum()
    });
    let channels = gateway.config.channels.iter();
    ProviderView {
        name: lane.name.to_string(),
        kind: config.map(|config| config.kind.clone()).unwrap_or_default(),
        circuit: standing.state,
        detail: standing.detail,
        available: standing.is_available,
        mock: lane.provider.is_mock(),
        rate: lane.rate,
        concurrency: lane.concurrency,
        in_flight: standing.in_flight,
        channels: channels
            .filter_map(|channel| provider_channel(channel, &lane.name))
            .collect(),
        attempts: line.map(ProviderReportRow::attempts),
        share_percent: line.and_then(|line| percent(line.attempts(), all)),
        fault_percent: line.and_then(ProviderReportRow::fault_percent),
    }
}

/// The provider's part in a channel; none when the channel does not name it.
pub(crate) fn provider_channel(channel: &Channel, provider: &ConfigName) -> Option<ProviderChannelView> {
    let place = channel.providers.iter().position(|name| name == provider)?;
    let count = u64::try_from(channel.providers.len()).unwrap_or(u64::MAX);
    let (strategy, weight, share_percent) = match &channel.strategy {
        RoutingStrategy::Failover => ("failover", None, Some(if place == 0 { 100.0 } else { 0.0 })),
        RoutingStrategy::RoundRobin => ("round_robin", None, percent(1, count)),
        RoutingStrategy::LeastBusy => ("least_busy", None, None),
        RoutingStrategy::Weighted(weights) => {
            let weight = weights.get(place).copied().unwrap_or(0);
            let all = weights.iter().copied().map(u64::from).sum();
            ("weighted", Some(weight), percent(u64::from(weight), all))
        }
    };
    Some(ProviderChannelView {
        channel: channel.name.to_string(),
        strategy,
        weight,
        share_percent,
    })
}
