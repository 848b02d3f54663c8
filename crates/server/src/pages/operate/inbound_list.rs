//! `/operate/inbound?from=&to=&provider=`: inbound messages, newest first, with the messages that they answer.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};

use super::super::format;
use super::super::layout::{self, PageLayout, PageResult};
use super::super::report_cache::ReportCache;
use super::operator::Operator;
use crate::{cursor, form, native};
use postrider_core::inbound_record::{InboundAction, InboundRecord, InboundTarget};
use postrider_engine::gateway::Gateway;
use postrider_store::InboundQuery;

/// Messages on one page.
const PAGE_MESSAGES: usize = 25;

/// The page at `/operate/inbound`.
#[derive(Template)]
#[template(path = "operate_inbound.html", whitespace = "minimize")]
struct InboundListPage {
    layout: PageLayout,
    operator: String,
    now: String,
    from: String,
    to: String,
    provider: String,
    errors: Vec<String>,
    rows: Vec<InboundRow>,
    is_first_page: bool,
    next: Option<String>,
}

/// An inbound message as texts.
struct InboundRow {
    received: String,
    from: String,
    to: String,
    provider: String,
    body: String,
    is_incomplete: bool,
    action: String,
    route: String,
    target: String,
    state: String,
    in_reply_to: Option<String>,
}

impl InboundRow {
    fn of(record: &InboundRecord, mask: bool) -> Self {
        Self {
            received: format::time(record.received_at),
            from: format::address(&record.from, mask),
            to: record.to.clone(),
            provider: record.provider.to_string(),
            body: format::body_preview(&record.body),
            is_incomplete: record.is_incomplete,
            action: match record.action {
                InboundAction::None => String::new(),
                action => format::humanize(action.as_str()),
            },
            route: format::or_dash(record.route.as_ref()),
            target: record.target.map(InboundTarget::as_str).map(format::humanize).unwrap_or_default(),
            state: format::humanize(record.state()),
            in_reply_to: record.in_reply_to.map(|id| id.to_string()),
        }
    }
}

/// Handles `GET /operate/inbound`.
pub(super) async fn inbound_list_page(
    State(gateway): State<Arc<Gateway>>,
    Extension(reports): Extension<Arc<ReportCache>>,
    operator: Operator,
    uri: Uri,
) -> PageResult {
    let encoded_query = uri.query().unwrap_or_default().as_bytes();
    let field = |name| form::field(encoded_query, name).unwrap_or_default().trim().to_owned();
    let number = |name| form::phone_number(encoded_query, name).unwrap_or_default().trim().to_owned();
    let (from, to, provider) = (number("from"), number("to"), field("provider"));
    let filter = filter_of(&gateway, (&from, &to, &provider), &field("before"));
    let (found, errors) = match filter {
        Ok(filter) => (gateway.store.inbound_messages(filter).await?, Vec::new()),
        Err(error) => (Vec::new(), vec![error]),
    };
    let has_more = found.len() > PAGE_MESSAGES;
    let shown = &found[..found.len().min(PAGE_MESSAGES)];
    let mask = gateway.config.mask_numbers;
    let page = InboundListPage {
        layout: reports.layout(&gateway, "Inbound messages").await,
        operator: operator.name,
        now: format::time(gateway.clock.now()),
        rows: shown.iter().map(|record| InboundRow::of(record, mask)).collect(),
        is_first_page: field("before").is_empty(),
        next: shown.last().filter(|_| has_more).map(|record| cursor::encode_id(record.id)),
        from,
        to,
        provider,
        errors,
    };
    let status = if page.errors.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok(layout::operator_page(status, &page)?)
}

fn filter_of(
    gateway: &Gateway,
    (from, to, provider): (&str, &str, &str),
    before: &str,
) -> Result<InboundQuery, String> {
    let mut filter = InboundQuery { limit: PAGE_MESSAGES + 1, ..InboundQuery::default() };
    if !from.is_empty() {
        filter.from = Some(native::normalize_address(gateway, from).unwrap_or_else(|| from.to_owned()));
    }
    filter.to = (!to.is_empty()).then(|| to.to_owned());
    if !provider.is_empty() {
        let name = provider.parse().map_err(|_| format!("“{provider}” is not a provider name."))?;
        filter.provider = Some(name);
    }
    if !before.is_empty() {
        let id = cursor::parse_id(before).map_err(|_| "The page does not exist; start at the newest.")?;
        filter.before = Some(id);
    }
    Ok(filter)
}
