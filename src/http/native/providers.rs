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

use super::wire::rfc3339;
use crate::clock::Timestamp;
use crate::config::Scope;
use crate::domain::channel::{Channel, Name};
use crate::domain::report::{ProviderLine, Report, percent};
use crate::domain::route::Strategy;
use crate::flow::sync_report;
use crate::gateway::{Gateway, Lane};
use crate::http::auth;
use crate::http::describe::Denied;

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
    health: &'static str,
    /// How it does, in a sentence.
    detail: String,
    /// Whether it is asked now.
    open: bool,
    /// Whether it only plays a provider.
    sandbox: bool,
    /// The most messages a second.
    rate: Option<f64>,
    /// The most calls at once.
    concurrency: usize,
    /// Calls under way from this process.
    in_flight: usize,
    /// Where it takes part.
    channels: Vec<ChannelView>,
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
struct ChannelView {
    /// Which channel.
    channel: String,
    /// How the channel chooses.
    strategy: &'static str,
    /// Its weight, where there are weights.
    weight: Option<u32>,
    /// The share it is meant to have.
    share_percent: Option<f64>,
}

/// Lists the providers in the order of the configuration.
#[utoipa::path(
    get,
    path = "/v1/providers",
    operation_id = "list_providers",
    tag = "native",
    responses((status = 200, description = "How each provider does.", body = ProvidersView), Denied)
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<Json<ProvidersView>, Response<Body>> {
    auth::caller(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    let report = newest(&gateway).await;
    let now = gateway.clock.now();
    let providers = gateway
        .lanes()
        .iter()
        .map(|lane| view(&gateway, lane, report.as_ref(), now))
        .collect();
    Ok(Json(ProvidersView {
        providers,
        report_as_of: report.map(|report| rfc3339(report.as_of)),
    }))
}

async fn newest(gateway: &Gateway) -> Option<Report> {
    match sync_report::newest(gateway).await {
        Ok(newest) => newest.map(|(_, report)| report),
        Err(error) => {
            gateway.metrics.store_errors.inc();
            log::error!("providers are shown without their report: {}", error.chain());
            None
        }
    }
}

fn view(gateway: &Gateway, lane: &Lane, report: Option<&Report>, now: Timestamp) -> ProviderView {
    let standing = lane.view(now);
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
        report.providers.iter().map(ProviderLine::attempts).sum()
    });
    let channels = gateway.config.channels.iter();
    ProviderView {
        name: lane.name.to_string(),
        kind: config.map(|config| config.kind.clone()).unwrap_or_default(),
        health: standing.health,
        detail: standing.detail,
        open: standing.open,
        sandbox: lane.provider.is_sandbox(),
        rate: lane.rate,
        concurrency: lane.concurrency,
        in_flight: standing.in_flight,
        channels: channels.filter_map(|channel| part(channel, &lane.name)).collect(),
        attempts: line.map(ProviderLine::attempts),
        share_percent: line.and_then(|line| percent(line.attempts(), all)),
        fault_percent: line.and_then(ProviderLine::fault_percent),
    }
}

/// The provider's part in a channel; none when the channel does not name it.
fn part(channel: &Channel, provider: &Name) -> Option<ChannelView> {
    let place = channel.providers.iter().position(|name| name == provider)?;
    let count = u64::try_from(channel.providers.len()).unwrap_or(u64::MAX);
    let (strategy, weight, share_percent) = match &channel.strategy {
        Strategy::Failover => ("failover", None, Some(if place == 0 { 100.0 } else { 0.0 })),
        Strategy::RoundRobin => ("round_robin", None, percent(1, count)),
        Strategy::LeastBusy => ("least_busy", None, None),
        Strategy::Weighted(weights) => {
            let weight = weights.get(place).copied().unwrap_or(0);
            let all = weights.iter().copied().map(u64::from).sum();
            ("weighted", Some(weight), percent(u64::from(weight), all))
        }
    };
    Some(ChannelView {
        channel: channel.name.to_string(),
        strategy,
        weight,
        share_percent,
    })
}
