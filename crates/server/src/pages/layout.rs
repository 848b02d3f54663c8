//! The common parts of all pages: title, header counters, the test mode banner, security headers, error pages, forms.
//!
//! Browsers and proxies do not store pages, and pages load nothing from other hosts. Only the operator's pages run a
//! script, which updates the numbers.

use std::str::FromStr;

use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;

use super::format;
use crate::body;
use postrider_core::error::{Error, ErrorKind};
use postrider_core::report::Report;
use postrider_engine::gateway::Gateway;
use postrider_engine::request_load::BodySender;

/// Content security policy of a page: the stylesheet, the empty favicon, and forms to this gateway.
const PAGE_CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
                        base-uri 'none'; frame-ancestors 'none'";

/// Content security policy of an operator's page, which also runs the script and reads the event stream.
const OPERATOR_CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; \
                            connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// `Retry-After` of the error page while the store is unavailable, in seconds.
const RETRY_AFTER_SECONDS: &str = "5";

/// The stylesheet.
const PAGE_STYLE: &str = include_str!("../../../../templates/style.css");

/// The script of the operator's pages.
const PAGE_SCRIPT: &str = include_str!("../../../../templates/operate.js");

/// Cache lifetime of the stylesheet and the script in browsers.
const ASSET_CACHE_CONTROL: &str = "public, max-age=300";

/// The frame around the content of a page.
#[derive(Clone, Default)]
pub(crate) struct PageLayout {
    /// Title of the browser tab.
    pub title: String,
    /// True if all providers are mocks, so that no message is sent over a network.
    pub test_mode: bool,
    /// Version of the program.
    pub version: &'static str,
    /// Counters in the header, if there is a report.
    pub summary: Option<ReportSummary>,
    /// True if the script updates the numbers of the page.
    pub is_live: bool,
    /// Current problems that delay deliveries.
    pub problems: Vec<String>,
    /// Reload interval and URL for browsers without scripts.
    pub reload: Option<&'static str>,
}

/// The counters in the header.
#[derive(Clone)]
pub(crate) struct ReportSummary {
    /// Time of the report.
    pub as_of: String,
    /// The counters.
    pub counters: [Counter; 6],
}

/// One counter in the header.
#[derive(Clone)]
pub(crate) struct Counter {
    /// Name, also used as CSS class.
    pub name: &'static str,
    /// The number.
    pub count: String,
    /// Description of the counted things.
    pub meaning: &'static str,
    /// Search for the counted deliveries on the operator's page.
    pub search: &'static str,
}

impl PageLayout {
    /// Returns the layout of a page.
    pub(crate) fn new(title: impl Into<String>, test_mode: bool, report: Option<&Report>) -> Self {
        Self {
            title: title.into(),
            test_mode,
            version: env!("CARGO_PKG_VERSION"),
            summary: report.map(ReportSummary::of),
            is_live: false,
            problems: Vec::new(),
            reload: None,
        }
    }
}

impl ReportSummary {
    /// Returns the counters of a report.
    pub(super) fn of(report: &Report) -> Self {
        let totals = &report.totals;
        let counter = |name, search, count: u64, meaning| Counter {
            name,
            count: format::count(count),
            meaning,
            search,
        };
        Self {
            as_of: format::time(report.as_of),
            counters: [
                counter("accepted", "", report.messages, "messages accepted"),
                counter("waiting", "state:waiting", totals.waiting, "deliveries that are not sent yet"),
                counter("sent", "state:sent", totals.sent, "deliveries that a provider has accepted"),
                counter("delivered", "state:delivered", totals.delivered, "deliveries that have arrived"),
                counter("failed", "state:failed", totals.failed_sum(), "deliveries that have failed"),
                counter(
                    "unknown",
                    "state:unknown",
                    totals.unknown,
                    "attempts whose outcome is unknown: each message may have been sent twice",
                ),
            ],
        }
    }
}

impl ReportSummary {
    /// Replaces the number of waiting deliveries by a newer number, so that the page does not show two different
    /// numbers.
    pub(super) fn set_waiting(&mut self, waiting: u64) {
        for counter in self.counters.iter_mut().filter(|counter| counter.name == "waiting") {
            counter.count = format::count(waiting);
        }
    }
}

/// The page that explains an error.
#[derive(Template)]
#[template(path = "error.html", whitespace = "minimize")]
struct ErrorPage<'a> {
    layout: PageLayout,
    heading: &'a str,
    message: &'a str,
}

/// Adds the headers of all pages.
pub(super) fn html_page(status: StatusCode, html: Bytes) -> Response<Body> {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_CSP)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, html).into_response()
}

/// Renders an operator's page. Browsers must send the origin of its forms, which `no-referrer` would suppress.
pub(super) fn operator_page(status: StatusCode, template: &impl Template) -> Result<Response<Body>, Error> {
    let mut response = render_page(status, template)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(OPERATOR_CSP));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// Renders a page with its headers.
pub(super) fn render_page(status: StatusCode, template: &impl Template) -> Result<Response<Body>, Error> {
    Ok(html_page(status, render_html(template)?))
}

/// Renders a page without headers.
pub(super) fn render_html(template: &impl Template) -> Result<Bytes, Error> {
    template
        .render()
        .map(Bytes::from)
        .map_err(|error| Error::with_source(ErrorKind::Internal, "render a page", error))
}

/// Returns the page that explains an error.
pub(super) fn error_page(status: StatusCode, heading: &str, message: &str) -> Response<Body> {
    let page = ErrorPage { layout: PageLayout::new(heading, false, None), heading, message };
    render_page(status, &page).unwrap_or_else(|error| {
        log::error!("cannot render error page: error={}", error.chain());
        Response::new(Body::from(message.to_owned()))
    })
}

/// An id in the path of a request, not parsed yet.
pub(super) type IdPath = Result<Path<String>, PathRejection>;

/// Parses the id in the path; `None` if it is not an id.
pub(super) fn parse_id<T: FromStr>(path: IdPath) -> Option<T> {
    path.ok().and_then(|Path(id)| id.parse().ok())
}

/// A page, or the error that is shown as an error page.
pub(super) type PageResult = Result<Response<Body>, PageError>;

/// An error of a page, which is shown as an error page.
pub(super) struct PageError(Error);

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response<Body> {
        failure_page(&self.0)
    }
}

/// Logs an internal error with its causes and returns its error page.
fn failure_page(error: &Error) -> Response<Body> {
    log::error!("cannot render page: error={}", error.chain());
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Usage => {
            let page = error_page(
                StatusCode::SERVICE_UNAVAILABLE,
                "The store is unavailable",
                "This page cannot be shown now. Accepted messages are safe. Try again in a few seconds; \
                 `console check` shows what is wrong and what to do.",
            );
            ([(RETRY_AFTER, RETRY_AFTER_SECONDS)], page).into_response()
        }
        ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Internal => error_page(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal error",
            "This page cannot be shown. Accepted messages are safe. The server log contains the cause.",
        ),
    }
}

/// Returns the page for a request that waited too long for other expensive queries.
pub(super) fn busy_page() -> Response<Body> {
    let page = error_page(
        StatusCode::SERVICE_UNAVAILABLE,
        "Other expensive queries are running",
        "Pages that count many messages are made one at a time. Try again in a few seconds, or ask for a shorter time.",
    );
    ([(RETRY_AFTER, RETRY_AFTER_SECONDS)], page).into_response()
}

/// Reads the body of a form, or returns the error page.
pub(super) async fn read_form(
    gateway: &Gateway,
    headers: &HeaderMap,
    content: Body,
    sender: BodySender,
) -> Result<Bytes, Response<Body>> {
    let form_body = body::read(gateway, headers, content, sender).await;
    form_body.map_err(|error| {
        let page = error_page(error.status(), "The form cannot be read", &error.message());
        error.with_retry_after(page)
    })
}

/// Returns the stylesheet.
pub(super) fn stylesheet() -> Response<Body> {
    asset(PAGE_STYLE, "text/css; charset=utf-8")
}

/// Returns the script of the operator's pages.
pub(super) fn script() -> Response<Body> {
    asset(PAGE_SCRIPT, "text/javascript; charset=utf-8")
}

fn asset(content: &'static str, content_type: &'static str) -> Response<Body> {
    let headers = [
        (CONTENT_TYPE, content_type),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, ASSET_CACHE_CONTROL),
    ];
    (headers, content).into_response()
}
