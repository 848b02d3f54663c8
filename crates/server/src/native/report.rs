//! `GET /v1/report`: the newest report with its percentages and percentiles.
//!
//! The numbers are as of `as_of`; the handler counts nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::JsonResult;
use crate::auth;
use crate::error_responses::{AuthErrorResponses, NotFoundResponses, StoreErrorResponses};
use crate::problem::{Problem, StoreResult as _};
use postrider_core::report::{
    DeliveryTotals, HourReportRow, ProviderReportRow, Report, TopRecipientRow, percent,
};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::sync_report;
use postrider_engine::usage::rfc3339;

/// The report.
#[derive(Serialize, ToSchema)]
#[schema(as = Report)]
pub(super) struct ReportView {
    /// Time of the numbers.
    #[schema(format = DateTime)]
    as_of: String,
    /// Due time of the next report; null if cron makes it.
    #[schema(format = DateTime)]
    next_due_at: Option<String>,
    /// Messages accepted.
    messages: u64,
    /// Their deliveries.
    deliveries: u64,
    /// Deliveries by state.
    totals: ReportTotalsView,
    /// Numbers of each provider.
    providers: Vec<ReportProviderView>,
    /// The last 48 hours.
    hours: Vec<ReportHourView>,
    /// The addresses with most deliveries; empty for an API key without the scope `admin`.
    #[schema(value_type = Vec<ReportTopRecipientView>)]
    top_recipients: Vec<TopRecipientRow>,
}

/// Deliveries by state.
#[derive(Serialize, ToSchema)]
struct ReportTotalsView {
    /// Not sent yet.
    waiting: u64,
    /// Accepted by a provider, without a delivery receipt.
    sent: u64,
    /// Arrived.
    delivered: u64,
    /// Failed finally.
    failed: u64,
    /// Failed deliveries by kind of failure.
    #[schema(value_type = BTreeMap<String, u64>)]
    failures: serde_json::Map<String, serde_json::Value>,
    /// Attempts with the outcome `unknown`.
    unknown_attempts: u64,
    /// Opened by the user.
    opened: u64,
}

/// Numbers of one provider.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportProvider)]
struct ReportProviderView {
    /// Name of the provider.
    name: String,
    /// Calls to it.
    attempts: u64,
    /// Its share of all calls.
    share_percent: Option<f64>,
    /// Calls that failed because of the provider.
    faults: u64,
    /// The same in percent.
    fault_percent: Option<f64>,
    /// Deliveries it accepted.
    sent: u64,
    /// Of these, delivered.
    delivered: u64,
    /// Of these, not delivered.
    bounced: u64,
    /// Delivered, in percent of the accepted ones.
    delivered_percent: Option<f64>,
    /// Median duration of its calls, in milliseconds.
    p50_ms: Option<u64>,
    /// 95th percentile of the duration of its calls, in milliseconds.
    p95_ms: Option<u64>,
}

/// Deliveries accepted in one hour.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportHour)]
struct ReportHourView {
    /// Start of the hour.
    #[schema(format = DateTime)]
    hour: String,
    /// Deliveries accepted.
    accepted: u64,
    /// Of these, sent or delivered.
    sent: u64,
    /// Of these, failed.
    failed: u64,
}

/// An address and its number of deliveries.
#[derive(ToSchema)]
#[schema(as = ReportTopRecipient)]
#[expect(dead_code, reason = "only its schema is used: it describes `TopRecipientRow` of core")]
struct ReportTopRecipientView {
    /// The address.
    address: String,
    /// Deliveries to it.
    count: u64,
}

/// Returns the newest report.
#[utoipa::path(
    get,
    path = "/v1/report",
    operation_id = "show_report",
    tag = "native",
    responses((status = 200, description = "The newest report.", body = ReportView), AuthErrorResponses, NotFoundResponses, StoreErrorResponses)
)]
pub(super) async fn show(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> JsonResult<ReportView> {
    let caller = auth::authorize(&gateway, &headers, Scope::Read)?;
    let latest_report = sync_report::latest_report(&gateway).await.or_problem(&gateway, "read the report")?;
    let (_, mut report) = latest_report
        .ok_or_else(|| Problem::not_found("there is no report yet; \"console sync:report\" builds one"))?;
    if !caller.can_access_all {
        // The list contains addresses to which other keys have sent.
        report.top_recipients.clear();
    }
    Ok(Json(report_view(&gateway, report)))
}

fn report_view(gateway: &Gateway, report: Report) -> ReportView {
    let next_due_at = gateway.config.schedule.report.map(|interval| rfc3339(report.as_of + interval));
    let all_attempts = report.providers.iter().map(ProviderReportRow::attempts).sum();
    ReportView {
        as_of: rfc3339(report.as_of),
        next_due_at,
        messages: report.messages,
        deliveries: report.totals.sum(),
        totals: totals_view(&report.totals),
        providers: report.providers.iter().map(|row| provider_view(row, all_attempts)).collect(),
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
        failures: totals.failed.iter().map(|(kind, count)| (kind.clone(), (*count).into())).collect(),
        unknown_attempts: totals.unknown,
        opened: totals.opened,
    }
}

fn provider_view(row: &ProviderReportRow, all_attempts: u64) -> ReportProviderView {
    ReportProviderView {
        name: row.name.clone(),
        attempts: row.attempts(),
        share_percent: percent(row.attempts(), all_attempts),
        faults: row.faults(),
        fault_percent: row.fault_percent(),
        sent: row.sent,
        delivered: row.delivered,
        bounced: row.bounced,
        delivered_percent: row.delivered_percent(),
        p50_ms: row.percentile_ms(0.5),
        p95_ms: row.percentile_ms(0.95),
    }
}

fn hour_view(row: &HourReportRow) -> ReportHourView {
    ReportHourView { hour: rfc3339(row.hour), accepted: row.accepted, sent: row.sent, failed: row.failed }
}
