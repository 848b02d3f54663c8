//! `/usage`: totals by day, user and channel, and the newest messages of one user or of all users, read from the store.
//!
//! The form needs no script. Addresses are masked as on the other pages.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use form_urlencoded::Serializer;

use super::layout::{self, PageLayout, PageResult};
use super::message_row::MessageRow;
use super::report_cache::ReportCache;
use crate::auth::Caller;
use crate::form;
use crate::problem::limit_violations;
use crate::usage_params::UsageParams;
use postrider_engine::gateway::Gateway;
use postrider_engine::usage::UsageTotalRow;
use postrider_store::{MessageList, UsageTotals};

/// Messages on one page.
const PAGE_MESSAGES: usize = 25;

/// Maximum number of rows of totals on the page.
const TOTALS_MAX: usize = 20;

/// Maximum number of characters of a form field that the page repeats.
const TYPED_CHARS_MAX: usize = 255;

/// The page at `/usage`.
#[derive(Template)]
#[template(path = "usage.html", whitespace = "minimize")]
struct UsagePage {
    layout: PageLayout,
    typed: UsageForm,
    errors: Vec<String>,
    results: Option<UsageResults>,
}

/// Fields of the form, as typed.
#[derive(Default)]
struct UsageForm {
    user_id: String,
    since: String,
    until: String,
}

/// Results of the query.
struct UsageResults {
    rows: Vec<MessageRow>,
    totals: Vec<UsageTotalRow>,
    /// Set if `totals` is incomplete.
    has_more_totals: bool,
    /// Set on every page except the first.
    has_newer: bool,
    /// Query string of the form, without the cursor of a page.
    query_string: String,
    /// Cursor of the next page.
    next: Option<i64>,
}

/// Handles `GET /usage`. The status is 400 if the query is not valid.
pub(super) async fn usage_page(
    State(gateway): State<Arc<Gateway>>,
    Extension(reports): Extension<Arc<ReportCache>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> PageResult {
    let usage_query = uri.query().unwrap_or_default();
    let layout = reports.layout(&gateway, "Usage").await;
    let usage_form = UsageForm::read(usage_query);
    let mut filter = match UsageParams::parse(&gateway.config.limits, usage_query) {
        Ok(params) => params.query,
        Err(violations) => {
            let violations = limit_violations(violations);
            let messages =
                violations.iter().map(|violation| format!("{} {}", violation.field, violation.detail));
            let page = UsagePage { layout, typed: usage_form, errors: messages.collect(), results: None };
            return Ok(layout::render_page(StatusCode::BAD_REQUEST, &page)?);
        }
    };
    filter.owner = caller.owner_filter().map(str::to_owned);
    filter.limit = PAGE_MESSAGES;
    let has_newer = filter.before.is_some();
    let (messages, totals) = if has_newer {
        (gateway.store.usage(filter).await?, UsageTotals::default())
    } else {
        let Some(_seat) = gateway.request_load.expensive_query().await else {
            return Ok(layout::busy_page());
        };
        let (messages, totals) =
            tokio::join!(gateway.store.usage(filter.clone()), gateway.store.usage_totals(filter));
        (messages?, totals?)
    };
    let mask = gateway.config.mask_numbers;
    let results = UsageResults::new(&messages, totals, has_newer, usage_form.query_string(), mask);
    let page = UsagePage { layout, typed: usage_form, errors: Vec::new(), results: Some(results) };
    Ok(layout::render_page(StatusCode::OK, &page)?)
}

impl UsageForm {
    fn read(query: &str) -> Self {
        let field = |name| {
            let text = form::field(query.as_bytes(), name).unwrap_or_default();
            text.chars().take(TYPED_CHARS_MAX).collect()
        };
        Self { user_id: field("user_id"), since: field("since"), until: field("until") }
    }

    fn query_string(&self) -> String {
        let fields = [("user_id", &self.user_id), ("since", &self.since), ("until", &self.until)];
        let given = fields.into_iter().filter(|(_, text)| !text.is_empty());
        Serializer::new(String::new()).extend_pairs(given).finish()
    }
}

impl UsageResults {
    fn new(
        messages: &MessageList,
        totals: UsageTotals,
        has_newer: bool,
        query_string: String,
        mask: bool,
    ) -> Self {
        let is_complete = has_newer || totals.is_complete;
        let mut total_rows = totals.rows;
        let has_more_totals = !is_complete || total_rows.len() > TOTALS_MAX;
        total_rows.truncate(TOTALS_MAX);
        let mut rows = Vec::new();
        for message in &messages.messages {
            rows.extend(message.deliveries.iter().map(|delivery| MessageRow::new(message, delivery, mask)));
        }
        Self {
            rows,
            totals: total_rows.into_iter().map(UsageTotalRow::from).collect(),
            has_more_totals,
            has_newer,
            query_string,
            next: messages.next,
        }
    }

    /// Returns the path of the next page.
    fn older_page_path(&self) -> Option<String> {
        let cursor = crate::cursor::encode(self.next?);
        let separator = if self.query_string.is_empty() { "" } else { "&" };
        Some(format!("/usage?{}{separator}cursor={cursor}", self.query_string))
    }
}
