//! `GET /v1/providers`: current state of each provider, and its numbers as of the newest report.
//!
//! The response contains no settings and no secrets. If the store is unavailable, only the report's numbers are missing.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::JsonResult;
use crate::auth;
use crate::error_responses::AuthErrorResponses;
use postrider_core::channel::Channel;
use postrider_core::clock::Timestamp;
use postrider_core::name::ConfigName;
use postrider_core::report::{ProviderReportRow, Report, percent};
use postrider_core::routing::RoutingStrategy;
use postrider_engine::config::Scope;
use postrider_engine::gateway::{Gateway, ProviderRuntime};
use postrider_engine::sync_report;
use postrider_engine::usage::rfc3339;

/// All providers, with the time of the report's numbers.
#[derive(Serialize, ToSchema)]
#[schema(as = Providers)]
pub(super) struct ProvidersView {
    /// In the order of the configuration.
    providers: Vec<ProviderView>,
    /// Time of the report's numbers; null without a report.
    #[schema(format = DateTime)]
    report_as_of: Option<String>,
}

/// A configured provider.
#[derive(Serialize, ToSchema)]
#[schema(as = Provider)]
struct ProviderView {
    /// Name of the provider.
    name: String,
    /// Kind of the provider.
    kind: String,
    /// State of the circuit breaker: `closed`, `open`, `half_open` or `misconfigured`; `cooldown` while it asked us to wait;
    /// `paused` by an operator. `half_open` includes an open period that is over: the next message probes the provider.
    circuit: &'static str,
    /// State of the circuit breaker as a sentence.
    detail: String,
    /// End of the cooldown that it asked for; null without one.
    #[schema(format = DateTime)]
    cooldown_until: Option<String>,
    /// `true` if calls are made to it now.
    available: bool,
    /// `true` for a mock, which sends nothing.
    mock: bool,
    /// Maximum message parts per second.
    rate: Option<f64>,
    /// Maximum calls in flight.
    concurrency: usize,
    /// Calls in flight from this process.
    in_flight: usize,
    /// The channels that use it.
    channels: Vec<ProviderChannelView>,
    /// Calls to it, as of the report.
    attempts: Option<u64>,
    /// Its share of all calls.
    share_percent: Option<f64>,
    /// Share of its calls that failed because of the provider.
    fault_percent: Option<f64>,
}

/// A channel that uses a provider.
#[derive(Serialize, ToSchema)]
#[schema(as = ProviderChannel)]
pub(crate) struct ProviderChannelView {
    /// The channel.
    pub(crate) channel: String,
    /// The channel's routing strategy.
    pub(crate) strategy: &'static str,
    /// The provider's weight, for the strategy `weighted`.
    weight: Option<u32>,
    /// The share of the calls that the strategy gives it.
    pub(crate) share_percent: Option<f64>,
}

/// Numbers of a provider in a report.
#[derive(Clone, Copy)]
pub(crate) struct ProviderNumbers {
    /// Calls to it.
    pub(crate) attempts: u64,
    /// Its share of all calls.
    pub(crate) share_percent: Option<f64>,
    /// Share of its calls that failed because of the provider.
    pub(crate) fault_percent: Option<f64>,
}

/// Lists the providers in the order of the configuration.
#[utoipa::path(
    get,
    path = "/v1/providers",
    operation_id = "list_providers",
    tag = "native",
    responses((status = 200, description = "State and numbers of each provider.", body = ProvidersView), AuthErrorResponses)
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> JsonResult<ProvidersView> {
    auth::authorize(&gateway, &headers, Scope::Read)?;
    let report = newest_report(&gateway).await;
    let now = gateway.clock.now();
    let providers = gateway
        .providers()
        .iter()
        .map(|provider| provider_view(&gateway, provider, report.as_ref(), now))
        .collect();
    Ok(Json(ProvidersView { providers, report_as_of: report.map(|report| rfc3339(report.as_of)) }))
}

async fn newest_report(gateway: &Gateway) -> Option<Report> {
    match sync_report::latest_report(gateway).await {
        Ok(latest) => latest.map(|(_, report)| report),
        Err(error) => {
            gateway.metrics.store_errors.inc();
            log::error!("cannot read report for provider list: error={}", error.chain());
            None
        }
    }
}

fn provider_view(
    gateway: &Gateway,
    provider: &ProviderRuntime,
    report: Option<&Report>,
    now: Timestamp,
) -> ProviderView {
    let provider_status = provider.status(now);
    let provider_config = gateway.config.providers.iter().find(|config| config.name == provider.name);
    let numbers = report.and_then(|report| provider_numbers(report, &provider.name));
    let channels = gateway.config.channels.iter();
    ProviderView {
        name: provider.name.to_string(),
        kind: provider_config.map(|config| config.kind.clone()).unwrap_or_default(),
        circuit: provider_status.state,
        detail: provider_status.detail,
        cooldown_until: provider_status.cooldown_until.map(rfc3339),
        available: provider_status.is_available,
        mock: provider.adapter().is_mock(),
        rate: provider.rate,
        concurrency: provider.concurrency,
        in_flight: provider_status.in_flight,
        channels: channels.filter_map(|channel| provider_channel(channel, &provider.name)).collect(),
        attempts: numbers.map(|numbers| numbers.attempts),
        share_percent: numbers.and_then(|numbers| numbers.share_percent),
        fault_percent: numbers.and_then(|numbers| numbers.fault_percent),
    }
}

/// Returns the numbers of a provider in a report; `None` if the report does not contain it.
pub(crate) fn provider_numbers(report: &Report, provider: &ConfigName) -> Option<ProviderNumbers> {
    let row = report.providers.iter().find(|row| row.name == provider.as_str())?;
    let all_attempts = report.providers.iter().map(ProviderReportRow::attempts).sum();
    Some(ProviderNumbers {
        attempts: row.attempts(),
        share_percent: percent(row.attempts(), all_attempts),
        fault_percent: row.fault_percent(),
    })
}

/// Returns a provider's part in a channel; `None` if the channel does not use it.
pub(crate) fn provider_channel(channel: &Channel, provider: &ConfigName) -> Option<ProviderChannelView> {
    let provider_position = channel.providers.iter().position(|name| name == provider)?;
    let provider_count = u64::try_from(channel.providers.len()).unwrap_or(u64::MAX);
    let (strategy, weight, share_percent) = match &channel.strategy {
        RoutingStrategy::Failover => {
            ("failover", None, Some(if provider_position == 0 { 100.0 } else { 0.0 }))
        }
        RoutingStrategy::RoundRobin => ("round_robin", None, percent(1, provider_count)),
        RoutingStrategy::LeastBusy => ("least_busy", None, None),
        RoutingStrategy::Weighted(weights) => {
            let weight = weights.get(provider_position).copied().unwrap_or(0);
            let weight_sum = weights.iter().copied().map(u64::from).sum();
            ("weighted", Some(weight), percent(u64::from(weight), weight_sum))
        }
    };
    Some(ProviderChannelView { channel: channel.name.to_string(), strategy, weight, share_percent })
}
