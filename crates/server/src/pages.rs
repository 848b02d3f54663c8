//! The pages for operators and users: the report, the messages of a number, the timeline of a message, usage, and
//! broadcasts.
//!
//! The server renders all pages, and pages load nothing from other hosts. The report comes from the cache, or from the
//! store if the cache lacks it. Everything else is read from the store. Only the operator's pages and the sign-in
//! change state.

mod broadcasts;
mod format;
mod layout;
mod message;
mod message_row;
mod operate;
mod plot;
mod report;
mod report_cache;
mod search;
mod sign_in;
#[cfg(test)]
mod tests;
mod usage;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode, Uri};
use axum::routing::get;
use axum::{Extension, Router};

pub(super) use self::layout::PageLayout;
use self::layout::PageResult;
pub(super) use self::operate::routes as operator_routes;
use self::report::{PageSettings, ReportPage};
pub(super) use self::report_cache::ReportCache;
use self::search::SearchParams;
pub(super) use self::sign_in::routes as sign_in_routes;
use crate::auth::Caller;
use postrider_core::report::Report;
use postrider_engine::gateway::Gateway;

/// Returns the routes of the pages that need the scope `read`; the caller adds that check.
pub(super) fn routes(report_cache: &Arc<ReportCache>) -> Router<Arc<Gateway>> {
    Router::new()
        .route("/", get(report_or_search))
        .route("/messages/{id}", get(message::message_page))
        .route("/usage", get(usage::usage_page))
        .route("/broadcasts", get(broadcasts::broadcast_list))
        .route("/broadcasts/{id}", get(broadcasts::broadcast_page))
        .layer(Extension(Arc::clone(report_cache)))
}

/// Returns a page that is the same for all clients.
pub(super) fn static_page(html: Bytes) -> Response<Body> {
    layout::html_page(StatusCode::OK, html)
}

/// Returns the routes that need no key: the stylesheet and the script, which the sign-in page uses, and the pages to
/// which the `type` of a problem refers.
pub(super) fn assets() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/style.css", get(async || layout::stylesheet()))
        .route("/operate.js", get(async || layout::script()))
        .route("/problems/{name}", get(problem_page))
}

/// Explains the `type` of a problem.
async fn problem_page() -> Response<Body> {
    layout::error_page(
        StatusCode::OK,
        "A kind of problem",
        "This address is the type of a problem in an answer of this gateway: programs compare it. The members title and detail \
         of the answer say what was wrong and what to do; /api.html lists the answers of every path.",
    )
}

/// Returns the page for an unknown path.
pub(super) fn not_found_page(message: &str) -> Response<Body> {
    layout::error_page(StatusCode::NOT_FOUND, "Not found", message)
}

async fn report_or_search(
    State(gateway): State<Arc<Gateway>>,
    Extension(reports): Extension<Arc<ReportCache>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> PageResult {
    let Some(params) = SearchParams::parse(uri.query().unwrap_or_default()) else {
        return Ok(layout::error_page(
            StatusCode::BAD_REQUEST,
            "Invalid address",
            "A parameter is given more than once. Search for one number from the report page.",
        ));
    };
    match params.typed() {
        None => report_page(&gateway, &reports, &caller).await,
        Some(typed) => results_page(&gateway, &reports, &caller, typed, &params).await,
    }
}

async fn report_page(gateway: &Gateway, reports: &ReportCache, caller: &Caller) -> PageResult {
    let page_settings = page_settings(gateway, reports).await;
    let html = match reports.report(gateway).await? {
        Some(cached) if caller.can_access_all && page_settings.problems.is_empty() => {
            reports.page(gateway, &cached).await?
        }
        Some(cached) => {
            report::render(&visible_report(&cached.report, caller), cached.overdue, &page_settings)?
        }
        None => layout::render_html(&ReportPage::new(None, None, &page_settings))?,
    };
    Ok(layout::html_page(StatusCode::OK, html))
}

/// Returns the part of a report that the caller may read. The addresses with most deliveries are included only if the
/// caller may read all messages.
fn visible_report(report: &Report, caller: &Caller) -> Report {
    let mut visible_report = report.clone();
    if !caller.can_access_all {
        visible_report.top_recipients.clear();
    }
    visible_report
}

async fn page_settings(gateway: &Gateway, reports: &ReportCache) -> PageSettings {
    PageSettings { problems: reports.problems(gateway).await, ..PageSettings::from_gateway(gateway) }
}

async fn results_page(
    gateway: &Gateway,
    reports: &ReportCache,
    caller: &Caller,
    typed: &str,
    params: &SearchParams,
) -> PageResult {
    let results = search::search_number(gateway, caller, typed, params).await?;
    let cached = reports.report(gateway).await?;
    let report = cached.map(|cached| (visible_report(&cached.report, caller), cached.overdue));
    let report = report.as_ref().map(|(report, overdue)| (report, *overdue));
    let settings = page_settings(gateway, reports).await;
    let page = ReportPage::new(report, Some((typed.to_owned(), results)), &settings);
    Ok(layout::render_page(StatusCode::OK, &page)?)
}
