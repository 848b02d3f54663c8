//! `/operate/messages?q=`: the deliveries that match a search, with the possible actions of each.
//!
//! A page examines a bounded number of messages. If this limit ends the search early, the page shows a note and a link to
//! continue.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};

use super::super::format;
use super::super::layout::{self, PageLayout, PageResult};
use super::super::report_cache::ReportCache;
use super::actions::ACTION_DELIVERIES_MAX;
use super::delivery_row::DeliveryRow;
use super::notice::Notice;
use super::operator::Operator;
use super::search_query;
use crate::form;
use postrider_engine::gateway::Gateway;
use postrider_engine::search::{self, DeliverySearchFilter, MESSAGES_EXAMINED_MAX};

/// Deliveries on one page.
const PAGE_DELIVERIES: usize = 25;

/// The page at `/operate/messages`.
#[derive(Template)]
#[template(path = "operate_list.html", whitespace = "minimize")]
struct DeliveryListPage {
    layout: PageLayout,
    token: String,
    operator: String,
    notice: Option<Notice>,
    now: String,
    typed: String,
    before: Option<i64>,
    errors: Vec<String>,
    rows: Vec<DeliveryRow>,
    next: Option<i64>,
    is_truncated: bool,
    examined_max: String,
    action_max: String,
}

/// Handles `GET /operate/messages`.
pub(super) async fn delivery_list_page(
    State(gateway): State<Arc<Gateway>>,
    Extension(reports): Extension<Arc<ReportCache>>,
    operator: Operator,
    uri: Uri,
) -> PageResult {
    let query = uri.query().unwrap_or_default();
    let encoded_query = query.as_bytes();
    let (typed, filter) = parse_typed_search(&gateway, encoded_query);
    let typed_cursor = form::field(encoded_query, "before").ok();
    let page_cursor = typed_cursor.and_then(|typed| typed.parse().ok());
    let now = gateway.clock.now();
    let (results, errors) = match filter {
        Ok(filter) => {
            (search::search_deliveries(&gateway, &filter, page_cursor, PAGE_DELIVERIES).await?, Vec::new())
        }
        Err(errors) => (search::DeliverySearchResults::default(), errors),
    };
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let mask = gateway.config.mask_numbers;
    let page = DeliveryListPage {
        layout: PageLayout { is_live: true, ..reports.layout(&gateway, "Deliveries").await },
        token: operator.token,
        operator: operator.name,
        notice: Notice::from_query(query),
        now: format::time(now),
        typed: typed.chars().take(search_query::SEARCH_CHARS_MAX).collect(),
        before: page_cursor,
        errors,
        rows: results.hits.iter().map(|hit| DeliveryRow::of(hit, mask, now)).collect(),
        next: results.next,
        is_truncated: results.is_truncated,
        examined_max: format::count(MESSAGES_EXAMINED_MAX),
        action_max: format::count(ACTION_DELIVERIES_MAX),
    };
    Ok(layout::operator_page(status, &page)?)
}

/// Returns the typed search and its filter, or the errors in it.
fn parse_typed_search(
    gateway: &Gateway,
    encoded_query: &[u8],
) -> (String, Result<DeliverySearchFilter, Vec<String>>) {
    match form::phone_number(encoded_query, "q") {
        Ok(typed_search) => {
            let typed_search = typed_search.trim().to_owned();
            let filter = search_query::parse_search(gateway, &typed_search);
            (typed_search, filter)
        }
        Err(error) => (String::new(), Err(vec![format!("The search cannot be read: {error}.")])),
    }
}
