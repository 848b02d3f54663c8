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
use utoipa::ToSchema;

use super::JsonResult;
use super::message_view::rfc3339;
use crate::auth;
use crate::openapi::{AuthErrorResponses, NotFoundResponses, StoreErrorResponses};
use crate::problem::Problem;
use postrider_core::report::{
    DeliveryTotals, HourReportRow, ProviderReportRow, Report, TopRecipientRow, percent,
};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::sync_report;

/// The report as this face shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Report)]
pub(super) struct ReportView {
    /// The moment the numbers speak of.
    #[schema(format = DateTime)]
    as_of: String,
    /// When the next report is due; null when cron makes it.
    #[schema(format = DateTime)]
    next_due_at: Option<String>,
    /// Messages accepted.
    messages: u64,
    /// Deliveries they are.
    deliveries: u64,
    /// Deliveries by state.
    totals: ReportTotalsView,
    /// What each provider did.
    providers: Vec<ReportProviderView>,
    /// The last 48 hours.
    hours: Vec<ReportHourView>,
    /// The addresses with most deliveries.
    #[schema(value_type = Vec<ReportTopRecipientView>)]
    top_recipients: Vec<TopRecipientRow>,
}

/// Deliveries by state.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportTotals)]
struct ReportTotalsView {
    /// Not sent yet.
    waiting: u64,
    /// With a provider.
    sent: u64,
    /// Arrived.
    delivered: u64,
    /// Failed for good.
    failed: u64,
    /// Of these, by kind.
    #[schema(value_type = BTreeMap<String, u64>)]
    failures: serde_json::Map<String, serde_json::Value>,
    /// Attempts whose end nobody knows.
    unknown_attempts: u64,
    /// Opened by the person.
    opened: u64,
}

/// What one provider did.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportProvider)]
struct ReportProviderView {
    /// Its name.
    name: String,
    /// Calls made to it.
    attempts: u64,
    /// Its share of all calls.
    share_percent: Option<f64>,
    /// Calls that failed through its own fault.
    faults: u64,
    /// The same in percent.
    fault_percent: Option<f64>,
    /// Deliveries it took.
    sent: u64,
    /// Of these, arrived.
    delivered: u64,
    /// Of these, not delivered.
    bounced: u64,
    /// Arrived, in percent of those it took.
    delivered_percent: Option<f64>,
    /// Half of the calls took at most so long.
    p50_ms: Option<u64>,
    /// 95 in 100 calls took at most so long.
    p95_ms: Option<u64>,
}

/// What was accepted in one hour.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportHour)]
struct ReportHourView {
    /// Its beginning.
    #[schema(format = DateTime)]
    hour: String,
    /// Deliveries accepted.
    accepted: u64,
    /// Of these, sent or delivered.
    sent: u64,
    /// Of these, failed.
    failed: u64,
}

/// An address and how many deliveries it had.
#[derive(ToSchema)]
#[schema(as = ReportTop)]
#[expect(
    dead_code,
    reason = "only its form is used: it describes the lines that the domain writes"
)]
struct ReportTopRecipientView {
    /// The address.
    address: String,
    /// Deliveries to it.
    count: u64,
}

/// Shows the newest report.
#[utoipa::path(
    get,
    path = "/v1/report",
    operation_id = "show_report",
    tag = "native",
    responses((status = 200, description = "The newest report.", body = ReportView), AuthErrorResponses, NotFoundResponses, StoreErrorResponses)
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<Json<ReportView>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    newest_report(&gateway).await.map_err(IntoResponse::into_response)
}

async fn newest_report(gateway: &Gateway) -> JsonResult<ReportView> {
    let newest = sync_report::latest_report(gateway)
        .await
        .map_err(|error| Problem::from_error(gateway, "read the report", &error))?;
    let (_, report) = newest
        .ok_or_else(|| Problem::not_found("there is no report yet; \"console sync:report\" builds one"))?;
    Ok(Json(report_view(gateway, report)))
}

fn report_view(gateway: &Gateway, report: Report) -> ReportView {
    let next = sync_report::sync_interval(gateway).map(|interval| rfc3339(report.as_of + interval));
    let attempts = report.providers.iter().map(ProviderReportRow::attempts).sum();
    ReportView {
        as_of: rfc3339(report.as_of),
        next_due_at: next,
        messages: report.messages,
        deliveries: report.totals.sum(),
        totals: totals_view(&report.totals),
        providers: report
            .providers
            .iter()
            .map(|line| provider_view(line, attempts))
            .collect(),
        hours: report.hours.iter().map(hour_view).collect(),
        top_recipients: report.top_recipients,
    }
}

fn totals_view(totals: &DeliveryTotals) -> ReportTotalsView {
    ReportTotalsView {
        waiting: totals.waiting,
        sent: totals.sent,
        delivered: totals.delivered,
        failed: totals.failed_sum(),
        failures: totals
            .failed
            .iter()
            .map(|(word, count)| (word.clone(), (*count).into()))
            .collect(),
        unknown_attempts: totals.unknown,
        opened: totals.opened,
    }
}

fn provider_view(line: &ProviderReportRow, all_attempts: u64) -> ReportProviderView {
    ReportProviderView {
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

fn hour_view(line: &HourReportRow) -> ReportHourView {
    ReportHourView {
        hour: rfc3339(line.hour),
        accepted: line.accepted,
        sent: line.sent,
        failed: line.failed,
    }
}
