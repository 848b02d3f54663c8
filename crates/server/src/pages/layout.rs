//! What every page has around its content: title, counters, the sandbox's banner, security headers.
//!
//! Pages are never kept by browsers or proxies and load nothing from elsewhere. Only the operator's pages run a script,
//! which is ours and does no more than put newer numbers into their places.

use askama::Template;
use axum::body::{Body, Bytes};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Response, StatusCode};

use super::format;
use postrider_core::error::{Error, ErrorKind};
use postrider_core::report::Report;

/// What a page may load: our stylesheet and the empty favicon; forms lead back to us only.
const PAGE_CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The same for an operator's page, which may also run our script and listen to our events.
const OPERATOR_CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; \
                               connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// After how many seconds a browser may ask again when the store is away.
const RETRY_AFTER_SECONDS: &str = "5";

/// The stylesheet, the only thing a page loads.
const STYLE: &str = include_str!("../../../../templates/style.css");

/// The script of the operator's pages.
const SCRIPT: &str = include_str!("../../../../templates/operate.js");

/// How long a browser may keep the stylesheet and the script.
const ASSET_CACHE_CONTROL: &str = "public, max-age=300";

/// What surrounds the content of a page.
#[derive(Clone, Default)]
pub(crate) struct PageLayout {
    /// What the tab says.
    pub title: String,
    /// Whether nothing really leaves.
    pub test_mode: bool,
    /// The program's version.
    pub version: &'static str,
    /// The counters in the header, once there is a report.
    pub summary: Option<ReportSummary>,
    /// Whether our script runs here and puts newer numbers into their places.
    pub is_live: bool,
    /// When and for what a browser without scripts asks again.
    pub reload: Option<&'static str>,
}

/// The counters in the header, as of one time.
#[derive(Clone)]
pub(crate) struct ReportSummary {
    /// The report's time.
    pub as_of: String,
    /// Name, number and meaning.
    pub counters: [Counter; 6],
}

/// A number with its name and what it counts.
#[derive(Clone)]
pub(crate) struct Counter {
    /// Its name, also a class.
    pub name: &'static str,
    /// The number.
    pub count: String,
    /// What is counted, in a sentence.
    pub meaning: &'static str,
    /// What finds the counted, as the operator's search has it.
    pub search: &'static str,
}

impl PageLayout {
    /// The frame of a page with that title.
    pub(crate) fn new(title: impl Into<String>, sandbox: bool, report: Option<&Report>) -> Self {
        Self {
            title: title.into(),
            test_mode: sandbox,
            version: env!("CARGO_PKG_VERSION"),
            summary: report.map(ReportSummary::of),
            is_live: false,
            reload: None,
        }
    }

    /// The frame of an operator's page.
    pub(super) fn new_live(title: impl Into<String>, sandbox: bool, report: Option<&Report>) -> Self {
        Self {
            is_live: true,
            ..Self::new(title, sandbox, report)
        }
    }
}

impl ReportSummary {
    /// The counters of that report.
    pub(super) fn of(report: &Report) -> Self {
        let totals = &report.totals;
        let counter = |name, search, number, meaning| Counter {
            name,
            count: format::count(number),
            meaning,
            search,
        };
        Self {
            as_of: format::time(report.as_of),
            counters: [
                counter("accepted", "", report.messages, "messages accepted"),
                counter(
                    "waiting",
                    "state:waiting",
                    totals.waiting,
                    "deliveries that are not sent yet",
                ),
                counter(
                    "sent",
                    "state:sent",
                    totals.sent,
                    "deliveries that a provider has taken",
                ),
                counter(
                    "delivered",
                    "state:delivered",
                    totals.delivered,
                    "deliveries that have arrived",
                ),
                counter(
                    "failed",
                    "state:failed",
                    totals.failed_sum(),
                    "deliveries that have failed",
                ),
                counter(
                    "unknown",
                    "state:unknown",
                    totals.unknown,
                    "attempts whose end nobody knows: each may have been sent twice",
                ),
            ],
        }
    }
}

/// A page that says in plain words why there is no other.
#[derive(Template)]
#[template(path = "error.html", whitespace = "minimize")]
struct ErrorPage<'a> {
    layout: PageLayout,
    heading: &'a str,
    message: &'a str,
}

/// A page with its headers.
pub(super) fn html_page(status: StatusCode, html: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(6);
    let lines: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, PAGE_CSP),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, line) in lines {
        headers.insert(name, HeaderValue::from_static(line));
    }
    response
}

/// A template as an operator's page. Its forms have to say where they come from, which `no-referrer` would hide.
pub(super) fn operator_page(status: StatusCode, template: &impl Template) -> Result<Response<Body>, Error> {
    let mut response = render_page(status, template)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(OPERATOR_CSP));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// A template as a page.
pub(super) fn render_page(status: StatusCode, template: &impl Template) -> Result<Response<Body>, Error> {
    Ok(html_page(status, render_html(template)?))
}

/// A template's text.
pub(super) fn render_html(template: &impl Template) -> Result<Bytes, Error> {
    template
        .render()
        .map(Bytes::from)
        .map_err(|error| Error::with_source(ErrorKind::Internal, "render a page", error))
}

/// A page for what does not exist or cannot be understood.
pub(super) fn error_page(status: StatusCode, heading: &str, sentence: &str) -> Response<Body> {
    let page = ErrorPage {
        layout: PageLayout::new(heading, false, None),
        heading,
        message: sentence,
    };
    render_page(status, &page).unwrap_or_else(|error| {
        log::error!("a page has no words: {}", error.chain());
        Response::new(Body::from(sentence.to_owned()))
    })
}

/// A page for a failure of ours; the log gets the whole chain.
pub(super) fn failure_page(error: &Error) -> Response<Body> {
    log::error!("a page cannot be shown: {}", error.chain());
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Usage => {
            let mut response = error_page(
                StatusCode::SERVICE_UNAVAILABLE,
                "The store cannot be reached right now",
                "So this page cannot be shown. Messages that were accepted are safe. Try again in a moment; \
                 `console check` says what is wrong and what to do.",
            );
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            response
        }
        ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Internal => error_page(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something is wrong on our side",
            "This page cannot be shown. Messages that were accepted are safe. The log of the server says more.",
        ),
    }
}

/// The stylesheet with its headers.
pub(super) fn stylesheet() -> Response<Body> {
    asset(STYLE, "text/css; charset=utf-8")
}

/// The script with its headers.
pub(super) fn script() -> Response<Body> {
    asset(SCRIPT, "text/javascript; charset=utf-8")
}

fn asset(text: &'static str, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(ASSET_CACHE_CONTROL));
    response
}
