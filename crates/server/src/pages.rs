//! The people's face: the report, a number's messages, the timeline of one message, usage, broadcasts.
//!
//! Rendered here, nothing loaded from elsewhere. The report comes from the cache first and the store second; searches
//! and timelines are live. Only the operator's pages change anything, and only by forms of their own.

mod broadcasts;
mod format;
mod layout;
mod message;
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
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode, Uri};
use axum::routing::get;
use axum::{Extension, Router};

pub(super) use self::layout::PageLayout;
use self::message::MessagePage;
pub(super) use self::operate::routes as operator_routes;
use self::report::{PageSettings, ReportPage};
pub use self::report_cache::ReportCache;
use self::search::SearchParams;
pub(super) use self::sign_in::routes as sign_in_routes;
use postrider_core::broadcast::BroadcastId;
use postrider_core::error::Result;
use postrider_core::id::MessageId;
use postrider_engine::gateway::Gateway;

/// `/`, `/messages/{id}`, `/usage`, `/broadcasts`, `/broadcasts/{id}`. Whoever mounts them decides who may read.
pub fn routes(newest: &Arc<ReportCache>) -> Router<Arc<Gateway>> {
    Router::new()
        .route(
            "/",
            get(
                async |State(gateway): GatewayState, Extension(newest): ReportCacheExtension, uri: Uri| {
                    page_or_failure(report_or_search(&gateway, &newest, &uri).await)
                },
            ),
        )
        .route(
            "/messages/{id}",
            get(
                async |State(gateway): GatewayState, Extension(newest): ReportCacheExtension, id: IdPath| {
                    page_or_failure(message_page(&gateway, &newest, id.ok()).await)
                },
            ),
        )
        .route(
            "/usage",
            get(
                async |State(gateway): GatewayState, Extension(newest): ReportCacheExtension, uri: Uri| {
                    page_or_failure(usage_page(&gateway, &newest, &uri).await)
                },
            ),
        )
        .route(
            "/broadcasts",
            get(
                async |State(gateway): GatewayState, Extension(newest): ReportCacheExtension, uri: Uri| {
                    page_or_failure(broadcast_list(&gateway, &newest, &uri).await)
                },
            ),
        )
        .route(
            "/broadcasts/{id}",
            get(
                async |State(gateway): GatewayState, Extension(newest): ReportCacheExtension, id: IdPath| {
                    page_or_failure(broadcast_page(&gateway, &newest, id.ok()).await)
                },
            ),
        )
        .layer(Extension(Arc::clone(newest)))
}

type GatewayState = State<Arc<Gateway>>;
type ReportCacheExtension = Extension<Arc<ReportCache>>;
type IdPath = Result<Path<String>, PathRejection>;

/// A page that is the same for everybody, with the headers of all pages.
pub(super) fn static_page(html: Bytes) -> Response<Body> {
    layout::html_page(StatusCode::OK, html)
}

/// What pages are made with besides their text. It tells nothing, and whoever signs in needs it before.
pub fn assets() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/style.css", get(async || layout::stylesheet()))
        .route("/operate.js", get(async || layout::script()))
}

fn page_or_failure(page: Result<Response<Body>>) -> Response<Body> {
    page.unwrap_or_else(|error| layout::failure_page(&error))
}

async fn report_or_search(gateway: &Gateway, newest: &ReportCache, uri: &Uri) -> Result<Response<Body>> {
    let Some(query) = uri.query() else {
        return report_page(gateway, newest).await;
    };
    let Some(asked) = SearchParams::parse(query) else {
        return Ok(layout::error_page(
            StatusCode::BAD_REQUEST,
            "This address cannot be read",
            "It asks for more than one thing. Search for one number from the report page.",
        ));
    };
    match asked.typed() {
        None => report_page(gateway, newest).await,
        Some(typed) => results_page(gateway, newest, typed, &asked).await,
    }
}

async fn report_page(gateway: &Gateway, newest: &ReportCache) -> Result<Response<Body>> {
    match newest.report(gateway).await? {
        Some(kept) => Ok(layout::html_page(
            StatusCode::OK,
            newest.page(gateway, &kept).await?,
        )),
        None => layout::render_page(
            StatusCode::OK,
            &ReportPage::new(None, None, &PageSettings::from_gateway(gateway)),
        ),
    }
}

async fn results_page(
    gateway: &Gateway,
    newest: &ReportCache,
    typed: &str,
    asked: &SearchParams,
) -> Result<Response<Body>> {
    let results = search::search_number(gateway, typed, asked).await?;
    let kept = newest.report(gateway).await?;
    let report = kept.as_deref().map(|kept| (&kept.report, kept.overdue));
    let page = ReportPage::new(
        report,
        Some((typed.to_owned(), results)),
        &PageSettings::from_gateway(gateway),
    );
    layout::render_page(StatusCode::OK, &page)
}

async fn usage_page(gateway: &Gateway, newest: &ReportCache, uri: &Uri) -> Result<Response<Body>> {
    let frame = layout_with_report("Usage", gateway, newest).await;
    let (understood, page) = usage::usage_page(gateway, frame, uri.query().unwrap_or_default()).await?;
    let status = if understood {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    layout::render_page(status, &page)
}

async fn broadcast_list(gateway: &Gateway, newest: &ReportCache, uri: &Uri) -> Result<Response<Body>> {
    let frame = layout_with_report("Broadcasts", gateway, newest).await;
    let page = broadcasts::broadcast_list(gateway, frame, uri.query().unwrap_or_default()).await?;
    layout::render_page(StatusCode::OK, &page)
}

async fn broadcast_page(
    gateway: &Gateway,
    newest: &ReportCache,
    id: Option<Path<String>>,
) -> Result<Response<Body>> {
    let frame = layout_with_report("Broadcast", gateway, newest).await;
    let page = match id.and_then(|Path(id)| id.parse::<BroadcastId>().ok()) {
        Some(id) => broadcasts::broadcast_page(gateway, frame, id).await?,
        None => None,
    };
    match page {
        Some(page) => layout::render_page(StatusCode::OK, &page),
        None => Ok(layout::error_page(
            StatusCode::NOT_FOUND,
            "There is no such broadcast",
            "It may have been pruned, or a character of its id is missing. Look through the list of broadcasts.",
        )),
    }
}

/// The frame with the counters of the newest report, where there is one.
async fn layout_with_report(title: &'static str, gateway: &Gateway, newest: &ReportCache) -> PageLayout {
    let kept = newest.report_if_known(gateway).await;
    PageLayout::new(
        title,
        gateway.is_test_mode(),
        kept.as_deref().map(|kept| &kept.report),
    )
}

async fn message_page(
    gateway: &Gateway,
    newest: &ReportCache,
    id: Option<Path<String>>,
) -> Result<Response<Body>> {
    let found = match id.and_then(|Path(id)| id.parse::<MessageId>().ok()) {
        Some(id) => gateway.store.find_message(id).await?,
        None => None,
    };
    let Some(message) = found else {
        return Ok(layout::error_page(
            StatusCode::NOT_FOUND,
            "There is no such message",
            "It may have been pruned, or a character of its id is missing. Search for the number it went to.",
        ));
    };
    let kept = newest.report_if_known(gateway).await;
    let page = MessagePage::new(
        &message,
        kept.as_deref().map(|kept| &kept.report),
        gateway.is_test_mode(),
        gateway.config.mask_numbers,
        gateway.clock.now(),
    );
    layout::render_page(StatusCode::OK, &page)
}
