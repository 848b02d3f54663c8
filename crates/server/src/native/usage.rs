//! `GET /v1/usage` and `GET /v1/usage/totals`: what was sent to whom, a page at a time, and what it comes to.
//!
//! In JSON, or in CSV for `format=csv`; the way to the CSV's next page is in the header `Link`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;

use crate::openapi::{AuthErrorResponses, BadRequestResponses, StoreErrorResponses};
use crate::problem::Problem;
use crate::usage::{UsageFormat, UsageParams, UsageTotalsView, UsageView, csv, usage_rows};
use crate::{auth, cursor};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_store::UsageQuery;

/// Lists what was sent, to whom, when, over which channel and provider, and what became of it; newest first.
///
/// `totals` are on the first page. The next page of a CSV is named by the header `Link`.
#[utoipa::path(
    get,
    path = "/v1/usage",
    operation_id = "list_usage",
    tag = "native",
    params(
        ("user_id" = Option<String>, Query, max_length = 255, description = "Only to this person: the client's own name."),
        ("since" = Option<String>, Query, format = DateTime, description = "Only what was accepted since this moment, or since the beginning of this day."),
        ("until" = Option<String>, Query, format = DateTime, description = "Only what was accepted before this moment, or to the end of this day."),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$", description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, description = "At most so many messages."),
        ("format" = Option<String>, Query, pattern = "^(json|csv)?$", description = "`json` or `csv`."),
    ),
    responses(
        (status = 200, description = "A line for each delivery.", content(
            (UsageView = "application/json"), (String = "text/csv")),
            headers(("Link" = String, description = "Of a CSV: where the next page is."))),
        AuthErrorResponses, BadRequestResponses, StoreErrorResponses,
    )
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    let query = query.unwrap_or_default();
    usage_page(&gateway, &query)
        .await
        .map_err(IntoResponse::into_response)
}

async fn usage_page(gateway: &Gateway, query: &str) -> Result<Response<Body>, Problem> {
    let UsageParams {
        query: wanted,
        format: form,
    } = parse_params(gateway, query)?;
    let found = gateway
        .store
        .usage(wanted.clone())
        .await
        .map_err(|error| Problem::from_error(gateway, "list what was sent", &error))?;
    let lines = usage_rows(&found.messages);
    if form == UsageFormat::Csv {
        let mut response = csv_response("usage.csv", csv::rows_to_csv(true, &lines));
        if let Some(link) = found.next.and_then(|next| next_page_link(query, next)) {
            response.headers_mut().insert(LINK, link);
        }
        return Ok(response);
    }
    let totals = match wanted.before {
        None => Some(count_totals(gateway, wanted).await?),
        Some(_) => None,
    };
    let next = found.next.map(cursor::encode);
    Ok(Json(UsageView {
        rows: lines,
        totals,
        next_cursor: next,
    })
    .into_response())
}

/// Counts what was sent, by day, person and channel.
#[utoipa::path(
    get,
    path = "/v1/usage/totals",
    operation_id = "count_usage",
    tag = "native",
    params(
        ("user_id" = Option<String>, Query, max_length = 255, description = "Only to this person: the client's own name."),
        ("since" = Option<String>, Query, format = DateTime, description = "Only what was accepted since this moment, or since the beginning of this day."),
        ("until" = Option<String>, Query, format = DateTime, description = "Only what was accepted before this moment, or to the end of this day."),
        ("format" = Option<String>, Query, pattern = "^(json|csv)?$", description = "`json` or `csv`."),
    ),
    responses(
        (status = 200, description = "A line for each day, person and channel.", content(
            (UsageTotalsView = "application/json"), (String = "text/csv"))),
        AuthErrorResponses, BadRequestResponses, StoreErrorResponses,
    )
)]
pub(super) async fn totals(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    let query = query.unwrap_or_default();
    totals_response(&gateway, &query)
        .await
        .map_err(IntoResponse::into_response)
}

async fn totals_response(gateway: &Gateway, query: &str) -> Result<Response<Body>, Problem> {
    let asked = parse_params(gateway, query)?;
    let totals = count_totals(gateway, asked.query).await?;
    Ok(match asked.format {
        UsageFormat::Json => Json(totals).into_response(),
        UsageFormat::Csv => csv_response("usage-totals.csv", csv::totals_to_csv(&totals.rows)),
    })
}

fn parse_params(gateway: &Gateway, query: &str) -> Result<UsageParams, Problem> {
    UsageParams::parse(&gateway.config.limits, query)
        .map_err(|violations| Problem::invalid(StatusCode::BAD_REQUEST, &violations))
}

async fn count_totals(gateway: &Gateway, query: UsageQuery) -> Result<UsageTotalsView, Problem> {
    let counted = gateway.store.usage_totals(query).await;
    counted
        .map(UsageTotalsView::from)
        .map_err(|error| Problem::from_error(gateway, "count what was sent", &error))
}

fn csv_response(name: &str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(csv::CONTENT_TYPE));
    if let Ok(attachment) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, attachment);
    }
    response
}

/// The same question for the next page.
fn next_page_link(query: &str, next: i64) -> Option<HeaderValue> {
    let same = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let same = same.collect::<Vec<_>>().join("&");
    HeaderValue::from_str(&format!(
        "</v1/usage?{same}&cursor={}>; rel=\"next\"",
        cursor::encode(next)
    ))
    .ok()
}
