//! `GET /v1/report`: the newest report with its percentages and percentiles.
//!
//! Numbers are as of a stated time; nothing is counted here.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::response::IntoResponse;
use serde::Serialize;

use super::Answer;
use super::wire::rfc3339;
use crate::config::Scope;
use crate::domain::report::{HourLine, ProviderLine, Report, TopLine, Totals, percent};
use crate::flow::sync_report;
use crate::gateway::Gateway;
use crate::http::auth;
use crate::http::problem::Problem;

/// The report as this face shows it.
#[derive(Serialize)]
pub(super) struct ReportView {
    as_of: String,
    next_due_at: Option<String>,
    messages: u64,
    deliveries: u64,
    totals: TotalsView,
    providers: Vec<ProviderView>,
    hours: Vec<HourView>,
    top: Vec<TopLine>,
}

#[derive(Serialize)]
struct TotalsView {
    waiting: u64,
    sent: u64,
    delivered: u64,
    failed: u64,
    failures: serde_json::Map<String, serde_json::Value>,
    unknown_attempts: u64,
    opened: u64,
}

#[derive(Serialize)]
struct ProviderView {
    name: String,
    attempts: u64,
    share_percent: Option<f64>,
    faults: u64,
    fault_percent: Option<f64>,
    sent: u64,
    delivered: u64,
    bounced: u64,
    delivered_percent: Option<f64>,
    p50_ms: Option<u64>,
    p95_ms: Option<u64>,
}

#[derive(Serialize)]
struct HourView {
    hour: String,
    accepted: u64,
    sent: u64,
    failed: u64,
}

/// Shows the newest report.
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<Json<ReportView>, Response<Body>> {
    auth::caller(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    newest(&gateway).await.map_err(IntoResponse::into_response)
}

async fn newest(gateway: &Gateway) -> Answer<ReportView> {
    let newest = sync_report::newest(gateway)
        .await
        .map_err(|error| Problem::failed(gateway, "read the report", &error))?;
    let (_, report) = newest.ok_or_else(|| {
        Problem::missing("there is no report yet; \"console sync:report\" builds one")
    })?;
    Ok(Json(view(gateway, report)))
}

fn view(gateway: &Gateway, report: Report) -> ReportView {
    let next = sync_report::interval(gateway).map(|interval| rfc3339(report.as_of + interval));
    let attempts = report.providers.iter().map(ProviderLine::attempts).sum();
    ReportView {
        as_of: rfc3339(report.as_of),
        next_due_at: next,
        messages: report.messages,
        deliveries: report.totals.sum(),
        totals: totals(&report.totals),
        providers: report.providers.iter().map(|line| provider(line, attempts)).collect(),
        hours: report.hours.iter().map(hour).collect(),
        top: report.top,
    }
}

fn totals(totals: &Totals) -> TotalsView {
    TotalsView {
        waiting: totals.waiting,
        sent: totals.sent,
        delivered: totals.delivered,
        failed: totals.failed_sum(),
        failures: totals.failed.iter().map(|(word, count)| (word.clone(), (*count).into())).collect(),
        unknown_attempts: totals.unknown,
        opened: totals.opened,
    }
}

fn provider(line: &ProviderLine, all_attempts: u64) -> ProviderView {
    ProviderView {
        name: line.name.clone(),
        attempts: line.attempts(),
        share_percent: percent(line.attempts(), all_attempts),
        faults: line.faults(),
        fault_percent: line.fault_percent(),
        sent: line.sent,
        delivered: line.delivered,
        bounced: line.bounced,
        delivered_percent: line.delivered_percent(),
        p50_ms: line.percentile_ms(0.5),
        p95_ms: line.percentile_ms(0.95),
    }
}

fn hour(line: &HourLine) -> HourView {
    HourView {
        hour: rfc3339(line.hour),
        accepted: line.accepted,
        sent: line.sent,
        failed: line.failed,
    }
}
