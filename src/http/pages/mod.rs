//! The people's face: the report, a number's messages, the timeline of one message, usage, broadcasts.
//!
//! Rendered here, nothing loaded from elsewhere. The report comes from the cache first and the store second; searches
//! and timelines are live. Only the operator's pages change anything, and only by forms of their own.

mod broadcasts;
mod frame;
mod message;
mod newest;
mod operate;
mod plot;
mod report;
mod search;
mod sign_in;
#[cfg(test)]
mod tests;
mod usage;
mod words;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode, Uri};
use axum::routing::get;
use axum::{Extension, Router};

pub(super) use self::frame::Frame;
use self::message::MessagePage;
pub use self::newest::Newest;
pub(super) use self::operate::routes as operator_routes;
use self::report::{ReportPage, Setting};
use self::search::Asked;
pub(super) use self::sign_in::routes as sign_in_routes;
use crate::domain::broadcast::BroadcastId;
use crate::domain::id::MessageId;
use crate::error::Result;
use crate::gateway::Gateway;

/// `/`, `/messages/{id}`, `/usage`, `/broadcasts`, `/broadcasts/{id}`. Whoever mounts them decides who may read.
pub fn routes(newest: &Arc<Newest>) -> Router<Arc<Gateway>> {
    Router::new()
        .route(
            "/",
            get(
                async |State(gateway): Gate, Extension(newest): Memory, uri: Uri| {
                    shown(front(&gateway, &newest, &uri).await)
                },
            ),
        )
        .route(
            "/messages/{id}",
            get(async |State(gateway): Gate, Extension(newest): Memory, id: Id| {
                shown(timeline(&gateway, &newest, id.ok()).await)
            }),
        )
        .route(
            "/usage",
            get(
                async |State(gateway): Gate, Extension(newest): Memory, uri: Uri| {
                    shown(usage_page(&gateway, &newest, &uri).await)
                },
            ),
        )
        .route(
            "/broadcasts",
            get(
                async |State(gateway): Gate, Extension(newest): Memory, uri: Uri| {
                    shown(broadcast_list(&gateway, &newest, &uri).await)
                },
            ),
        )
        .route(
            "/broadcasts/{id}",
            get(async |State(gateway): Gate, Extension(newest): Memory, id: Id| {
                shown(broadcast_page(&gateway, &newest, id.ok()).await)
            }),
        )
        .layer(Extension(Arc::clone(newest)))
}

type Gate = State<Arc<Gateway>>;
type Memory = Extension<Arc<Newest>>;
type Id = Result<Path<String>, PathRejection>;

/// A page that is the same for everybody, with the headers of all pages.
pub(super) fn fixed(html: Bytes) -> Response<Body> {
    frame::page(StatusCode::OK, html)
}

/// What pages are made with besides their text. It tells nothing, and whoever signs in needs it before.
pub fn assets() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/style.css", get(async || frame::style()))
        .route("/operate.js", get(async || frame::script()))
}

fn shown(page: Result<Response<Body>>) -> Response<Body> {
    page.unwrap_or_else(|error| frame::sorry(&error))
}

async fn front(gateway: &Gateway, newest: &Newest, uri: &Uri) -> Result<Response<Body>> {
    let Some(query) = uri.query() else {
        return report_page(gateway, newest).await;
    };
    let Some(asked) = Asked::read(query) else {
        return Ok(frame::missing(
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

async fn report_page(gateway: &Gateway, newest: &Newest) -> Result<Response<Body>> {
    match newest.report(gateway).await? {
        Some(kept) => Ok(frame::page(StatusCode::OK, newest.page(gateway, &kept).await?)),
        None => frame::rendered(
            StatusCode::OK,
            &ReportPage::new(None, None, &Setting::of(gateway)),
        ),
    }
}

async fn results_page(
    gateway: &Gateway,
    newest: &Newest,
    typed: &str,
    asked: &Asked,
) -> Result<Response<Body>> {
    let results = search::run(gateway, typed, asked).await?;
    let kept = newest.report(gateway).await?;
    let report = kept.as_deref().map(|kept| (&kept.report, kept.overdue));
    let page = ReportPage::new(report, Some((typed.to_owned(), results)), &Setting::of(gateway));
    frame::rendered(StatusCode::OK, &page)
}

async fn usage_page(gateway: &Gateway, newest: &Newest, uri: &Uri) -> Result<Response<Body>> {
    let frame = frame_of("Usage", gateway, newest).await;
    let (understood, page) = usage::page(gateway, frame, uri.query().unwrap_or_default()).await?;
    let status = if understood {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    frame::rendered(status, &page)
}

async fn broadcast_list(gateway: &Gateway, newest: &Newest, uri: &Uri) -> Result<Response<Body>> {
    let frame = frame_of("Broadcasts", gateway, newest).await;
    let page = broadcasts::list(gateway, frame, uri.query().unwrap_or_default()).await?;
    frame::rendered(StatusCode::OK, &page)
}

async fn broadcast_page(
    gateway: &Gateway,
    newest: &Newest,
    id: Option<Path<String>>,
) -> Result<Response<Body>> {
    let frame = frame_of("Broadcast", gateway, newest).await;
    let page = match id.and_then(|Path(id)| id.parse::<BroadcastId>().ok()) {
        Some(id) => broadcasts::one(gateway, frame, id).await?,
        None => None,
    };
    match page {
        Some(page) => frame::rendered(StatusCode::OK, &page),
        None => Ok(frame::missing(
            StatusCode::NOT_FOUND,
            "There is no such broadcast",
            "It may have been pruned, or a character of its id is missing. Look through the list of broadcasts.",
        )),
    }
}

/// The frame with the counters of the newest report, where there is one.
async fn frame_of(title: &'static str, gateway: &Gateway, newest: &Newest) -> Frame {
    let kept = newest.known(gateway).await;
    Frame::new(
        title,
        gateway.is_sandbox(),
        kept.as_deref().map(|kept| &kept.report),
    )
}

async fn timeline(gateway: &Gateway, newest: &Newest, id: Option<Path<String>>) -> Result<Response<Body>> {
    let found = match id.and_then(|Path(id)| id.parse::<MessageId>().ok()) {
        Some(id) => gateway.store.find(id).await?,
        None => None,
    };
    let Some(message) = found else {
        return Ok(frame::missing(
            StatusCode::NOT_FOUND,
            "There is no such message",
            "It may have been pruned, or a character of its id is missing. Search for the number it went to.",
        ));
    };
    let kept = newest.known(gateway).await;
    let page = MessagePage::new(
        &message,
        kept.as_deref().map(|kept| &kept.report),
        gateway.is_sandbox(),
        gateway.config.mask_numbers,
        gateway.clock.now(),
    );
    frame::rendered(StatusCode::OK, &page)
}
