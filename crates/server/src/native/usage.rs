//! `GET /v1/usage` and `GET /v1/usage/totals`: deliveries with their messages, a page at a time, and totals.
//!
//! As JSON, or as CSV for `format=csv`; the `Link` header of a CSV names the next page.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, HeaderValue, Response};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{self, Caller};
use crate::cursor;
use crate::error_responses::{AuthErrorResponses, BadRequestResponses, StoreErrorResponses};
use crate::problem::{Problem, StoreResult as _};
use crate::usage_params::{UsageFormat, UsageParams};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::usage::{UsageDeliveryRow, UsageTotalsView, csv, usage_rows};
use postrider_store::UsageQuery;

/// A page of usage, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = UsagePage)]
pub(super) struct UsageView {
    /// One row for each delivery of the messages of this page.
    rows: Vec<UsageDeliveryRow>,
    /// Totals of all deliveries that match; on the first page only.
    totals: Option<UsageTotalsView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Lists deliveries with their messages, newest first.
///
/// `totals` are on the first page. The `Link` header of a CSV names the next page.
#[utoipa::path(
    get,
    path = "/v1/usage",
    operation_id = "list_usage",
    tag = "native",
    params(
        ("user_id" = Option<String>, Query, max_length = 255, description = "Only messages to this user."),
        ("since" = Option<String>, Query, format = DateTime, description = "Only messages accepted at or after this time, or since the beginning of this day."),
        ("until" = Option<String>, Query, format = DateTime, description = "Only messages accepted before this time, or until the end of this day."),
        ("tz" = Option<String>, Query, description = "Offset from UTC of the time zone of days, such as `+03:30`; default UTC."),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$", description = "The `next_cursor` of the previous page."),
        ("limit" = Option<u32>, Query, minimum = 1, description = "Maximum number of messages."),
        ("format" = Option<String>, Query, pattern = "^(json|csv)?$", description = "`json` or `csv`."),
    ),
    responses(
        (status = 200, description = "One row for each delivery.", content(
            (UsageView = "application/json"), (String = "text/csv")),
            headers(("Link" = String, description = "URL of the next page of a CSV."))),
        AuthErrorResponses, BadRequestResponses, StoreErrorResponses,
    )
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    RawQuery(usage_query): RawQuery,
) -> Result<Response<Body>, Problem> {
    let caller = auth::authorize(&gateway, &headers, Scope::Read)?;
    let usage_query = usage_query.unwrap_or_default();
    let UsageParams { query: filter, format } = parse_params(&gateway, &caller, &usage_query)?;
    let page = gateway.store.usage(filter.clone()).await.or_problem(&gateway, "list usage")?;
    let rows = usage_rows(&page.messages);
    if format == UsageFormat::Csv {
        let mut response = csv_response("usage.csv", csv::rows_to_csv(&rows));
        if let Some(link) = page.next.and_then(|next| next_page_link(&usage_query, next)) {
            response.headers_mut().insert(LINK, link);
        }
        return Ok(response);
    }
    let totals = match filter.before {
        None => Some(count_totals(&gateway, filter).await?),
        Some(_) => None,
    };
    Ok(Json(UsageView { rows, totals, next_cursor: page.next.map(cursor::encode) }).into_response())
}

/// Returns totals by day, user and channel.
#[utoipa::path(
    get,
    path = "/v1/usage/totals",
    operation_id = "count_usage",
    tag = "native",
    params(
        ("user_id" = Option<String>, Query, max_length = 255, description = "Only messages to this user."),
        ("since" = Option<String>, Query, format = DateTime, description = "Only messages accepted at or after this time, or since the beginning of this day."),
        ("until" = Option<String>, Query, format = DateTime, description = "Only messages accepted before this time, or until the end of this day."),
        ("tz" = Option<String>, Query, description = "Offset from UTC of the time zone of days, such as `+03:30`; default UTC."),
        ("format" = Option<String>, Query, pattern = "^(json|csv)?$", description = "`json` or `csv`."),
    ),
    responses(
        (status = 200, description = "One row for each day, user and channel.", content(
            (UsageTotalsView = "application/json"), (String = "text/csv"))),
        AuthErrorResponses, BadRequestResponses, StoreErrorResponses,
    )
)]
pub(super) async fn totals(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    RawQuery(usage_query): RawQuery,
) -> Result<Response<Body>, Problem> {
    let caller = auth::authorize(&gateway, &headers, Scope::Read)?;
    let usage_query = usage_query.unwrap_or_default();
    let params = parse_params(&gateway, &caller, &usage_query)?;
    let totals = count_totals(&gateway, params.query).await?;
    Ok(match params.format {
        UsageFormat::Json => Json(totals).into_response(),
        UsageFormat::Csv => csv_response("usage-totals.csv", csv::totals_to_csv(&totals.rows)),
    })
}

/// Parses the parameters and restricts the query to what the caller may read.
fn parse_params(gateway: &Gateway, caller: &Caller, query: &str) -> Result<UsageParams, Problem> {
    let mut params = UsageParams::parse(&gateway.config.limits, query)
        .map_err(|violations| Problem::invalid_query(&violations))?;
    params.query.owner = caller.owner_filter().map(str::to_owned);
    Ok(params)
}

async fn count_totals(gateway: &Gateway, query: UsageQuery) -> Result<UsageTotalsView, Problem> {
    let seat = gateway.request_load.expensive_query().await;
    let _seat = seat.ok_or_else(Problem::too_many_expensive_queries)?;
    let totals = gateway.store.usage_totals(query).await.or_problem(gateway, "count usage")?;
    Ok(totals.into())
}

fn csv_response(file_name: &str, text: String) -> Response<Body> {
    let attachment = format!("attachment; filename=\"{file_name}\"");
    ([(CONTENT_TYPE, csv::CONTENT_TYPE), (CONTENT_DISPOSITION, &attachment)], text).into_response()
}

/// Returns the `Link` header for the next page: the same query with the next cursor.
fn next_page_link(query: &str, next: i64) -> Option<HeaderValue> {
    let other_params = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let other_params = other_params.collect::<Vec<_>>().join("&");
    let next_cursor = cursor::encode(next);
    HeaderValue::from_str(&format!("</v1/usage?{other_params}&cursor={next_cursor}>; rel=\"next\"")).ok()
}
