//! `GET /v1/messages?to=&state=&since=&cursor=&limit=`: messages, newest first, a page at a time.
//!
//! `to` is normalised as at the door. A cursor is opaque to clients and stays good while messages come in.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use chrono::DateTime;
use serde::Serialize;
use utoipa::ToSchema;

use super::JsonResult;
use super::message_view::MessageView;
use crate::openapi::{AuthErrorResponses, BadRequestResponses, StoreErrorResponses};
use crate::problem::{Problem, Violation};
use crate::{auth, cursor, form};
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::delivery::DeliveryStateKind;
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_store::MessageQuery;

/// How many messages a page has when the client does not say.
const LIMIT_DEFAULT: usize = 50;

/// A page and the way to the next one.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagePage)]
pub(super) struct MessagePageView {
    /// Newest first, without their attempts.
    messages: Vec<MessageView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Lists messages, newest first.
#[utoipa::path(
    get,
    path = "/v1/messages",
    operation_id = "list_messages",
    tag = "native",
    params(
        ("to" = Option<String>, Query, description = "Only messages to this address."),
        ("state" = Option<String>, Query, pattern = "^(waiting|sent|delivered|failed)?$",
            description = "Only messages with a delivery that is `waiting`, `sent`, `delivered` or `failed`."),
        ("since" = Option<String>, Query, format = DateTime, description = "Only messages accepted since then."),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$", description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, description = "At most so many messages."),
    ),
    responses((status = 200, description = "A page of messages.", body = MessagePageView), AuthErrorResponses, BadRequestResponses, StoreErrorResponses)
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<MessagePageView>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    message_page(&gateway, &query.unwrap_or_default())
        .await
        .map_err(IntoResponse::into_response)
}

async fn message_page(gateway: &Gateway, query: &str) -> JsonResult<MessagePageView> {
    let wanted = parse_query(gateway, query)
        .map_err(|violations| Problem::invalid(StatusCode::BAD_REQUEST, &violations))?;
    let found = gateway
        .store
        .search(wanted)
        .await
        .map_err(|error| Problem::from_error(gateway, "list messages", &error))?;
    let now = gateway.clock.now();
    let listed = |message| MessageView::summary(message, now);
    Ok(Json(MessagePageView {
        messages: found.messages.into_iter().map(listed).collect(),
        next_cursor: found.next.map(cursor::encode),
    }))
}

/// The query in the store's words, or everything that is wrong with it.
fn parse_query(gateway: &Gateway, query: &str) -> Result<MessageQuery, Vec<Violation>> {
    let pairs = form::pairs(query.as_bytes())
        .map_err(|garbled| vec![Violation::new("query", garbled.to_string())])?;
    let mut wanted = MessageQuery {
        limit: LIMIT_DEFAULT.min(gateway.config.limits.page_limit_max),
        ..MessageQuery::default()
    };
    let mut violations = Vec::new();
    for (name, mut value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        if name == "to"
            && let Ok(number) = form::phone_number(query.as_bytes(), "to")
        {
            value = number;
        }
        if let Err(wrong) = set_param(gateway, &mut wanted, &name, &value) {
            violations.push(Violation::new(name, wrong));
        }
    }
    if violations.is_empty() {
        Ok(wanted)
    } else {
        Err(violations)
    }
}

fn set_param(
    gateway: &Gateway,
    wanted: &mut MessageQuery,
    name: &str,
    value: &str,
) -> Result<(), Cow<'static, str>> {
    let longest = gateway.config.limits.page_limit_max;
    match name {
        "to" => {
            let address = normalize_address(gateway, value);
            wanted.to = Some(address.ok_or("must be an address on a configured channel")?);
        }
        "state" => {
            let state = DeliveryStateKind::parse(value);
            wanted.state = Some(state.ok_or("must be waiting, sent, delivered or failed")?);
        }
        "since" => {
            let since = DateTime::parse_from_rfc3339(value);
            let since = since.map_err(|_| "must be a time such as \"2030-01-31T08:30:00Z\"")?;
            wanted.since = Some(since.to_utc());
        }
        "cursor" => {
            let before = cursor::decode(value).ok_or("must be the \"next\" of the page before, unchanged")?;
            wanted.before = Some(before);
        }
        "limit" => {
            let limit = value.parse().ok().filter(|limit| (1..=longest).contains(limit));
            wanted.limit = limit.ok_or_else(|| format!("must be a number from 1 to {longest}"))?;
        }
        _ => return Err("there is no such parameter; known are to, state, since, cursor, limit".into()),
    }
    Ok(())
}

/// The address in the form it is kept in: as a telephone number where a channel takes those and it is one.
pub(crate) fn normalize_address(gateway: &Gateway, typed: &str) -> Option<String> {
    let channels = &gateway.config.channels;
    let routes = || {
        channels
            .iter()
            .filter_map(|channel| gateway.route(channel.name.as_str()))
    };
    AddressKind::ALL
        .into_iter()
        .filter(|kind| routes().any(|route| route.address_kinds().contains(kind)))
        .find_map(|kind| parse_address(kind, typed, &gateway.config.phone).ok())
}
