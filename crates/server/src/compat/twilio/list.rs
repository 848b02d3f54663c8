//! `GET …/Messages.json`: lists messages, newest first.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::error::TwilioError;
use super::request::TwilioRequest;
use super::resource::{MessageFacts, format_date, parse_date};
use crate::compat::query::restore_plus;
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::clock::Timestamp;
use postrider_engine::gateway::Gateway;
use postrider_store::MessageQuery;

/// Messages on a page when the client does not say.
const PAGE_SIZE_DEFAULT: usize = 50;

/// Most messages on a page.
const PAGE_SIZE_MAX: usize = 1_000;

/// Beginning of a page token; the number of the oldest message of the page before follows.
const PAGE_TOKEN_PREFIX: &str = "PASM";

/// Conditions of a list.
struct ListFilter {
    to: Option<String>,
    from: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    page_size: usize,
    page: u64,
    before: Option<i64>,
}

/// Returns a page of the caller's messages.
pub(super) async fn list(
    gateway: &Gateway,
    request: &TwilioRequest,
) -> Result<(StatusCode, Value), TwilioError> {
    let filter = read_filter(gateway, request);
    let query = MessageQuery {
        to: filter.to.clone(),
        state: None,
        since: filter.since,
        owner: request.caller.owner_filter(),
        before: filter.before,
        limit: filter.page_size,
    };
    let page = gateway.store.search(query).await;
    let page = page.map_err(|error| TwilioError::from_store(gateway, &error))?;
    let now = gateway.clock.now();
    let is_wanted = |facts: &MessageFacts| {
        filter.until.is_none_or(|until| facts.created_at < until)
            && filter.from.as_ref().is_none_or(|from| facts.from.as_ref() == Some(from))
    };
    let facts = page.messages.iter().map(|message| MessageFacts::of_message(message, now));
    let resources = facts.filter(is_wanted).map(|facts| facts.resource(&request.account_sid));
    let next_uri = page.next.map(|number| next_page_uri(&request.path, &filter, number));
    let document = page_document(
        "messages",
        resources.collect(),
        &request.path,
        filter.page_size,
        filter.page,
        next_uri.as_deref(),
    );
    Ok((StatusCode::OK, document))
}

fn read_filter(gateway: &Gateway, request: &TwilioRequest) -> ListFilter {
    let text = |name: &str| request.fields.text(&[name]).filter(|value| !value.is_empty());
    let number = |name: &str| {
        text(name).map(|number| {
            let number = restore_plus(&number);
            parse_address(AddressKind::Phone, &number, &gateway.config.phone).unwrap_or(number)
        })
    };
    let date = |name: &str| text(name).and_then(|date| parse_date(&date));
    let day = date("DateSent");
    let page_size = text("PageSize").and_then(|size| size.parse().ok()).unwrap_or(PAGE_SIZE_DEFAULT);
    ListFilter {
        to: number("To"),
        from: text("From").map(|from| restore_plus(&from)),
        since: date("DateSent>").or(day),
        until: date("DateSent<").or(day.map(|day| day + TimeDelta::days(1))),
        page_size: page_size.clamp(1, PAGE_SIZE_MAX),
        page: text("Page").and_then(|page| page.parse().ok()).unwrap_or(0),
        before: text("PageToken").and_then(|token| token.strip_prefix(PAGE_TOKEN_PREFIX)?.parse().ok()),
    }
}

/// Returns the URI of the next page with the whole filter: clients fetch it as it is.
fn next_page_uri(path: &str, filter: &ListFilter, number: i64) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("PageSize", &filter.page_size.to_string())
        .append_pair("Page", &(filter.page + 1).to_string())
        .append_pair("PageToken", &format!("{PAGE_TOKEN_PREFIX}{number}"));
    let dates = [("DateSent>", filter.since), ("DateSent<", filter.until)];
    let texts = [("To", filter.to.clone()), ("From", filter.from.clone())];
    let dates = dates.map(|(name, time)| (name, time.map(format_date)));
    for (name, value) in texts.into_iter().chain(dates) {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    format!("{path}?{}", query.finish())
}

/// Returns a page. SDKs take the one key that they do not know for the records, so there is no other.
pub(super) fn page_document(
    records_key: &str,
    records: Vec<Value>,
    path: &str,
    page_size: usize,
    page: u64,
    next_page_uri: Option<&str>,
) -> Value {
    let start = page.saturating_mul(page_size as u64);
    let end = start + (records.len() as u64).saturating_sub(1);
    let mut document = Map::new();
    for (key, value) in [
        ("end", json!(end)),
        ("first_page_uri", json!(format!("{path}?PageSize={page_size}&Page=0"))),
        ("next_page_uri", json!(next_page_uri)),
        ("page", json!(page)),
        ("page_size", json!(page_size)),
        ("previous_page_uri", Value::Null),
        (records_key, Value::Array(records)),
        ("start", json!(start)),
        ("uri", json!(format!("{path}?PageSize={page_size}&Page={page}"))),
    ] {
        document.insert(key.to_owned(), value);
    }
    Value::Object(document)
}
