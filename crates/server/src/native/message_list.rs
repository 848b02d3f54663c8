//! `GET /v1/messages?to=&state=&since=&tz=&cursor=&limit=`: messages, newest first, a page at a time.
//!
//! `to` is normalized like the addresses of accepted messages. All invalid parameters are reported at once.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use chrono::{Days, FixedOffset, Offset, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::JsonResult;
use super::message_view::MessageView;
use crate::error_responses::{AuthErrorResponses, BadRequestResponses, StoreErrorResponses};
use crate::problem::{Problem, StoreResult as _, Violation};
use crate::{auth, cursor, form, usage_params};
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::delivery::DeliveryStateKind;
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_store::MessageQuery;

/// A page of messages.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagePage)]
pub(super) struct MessagePageView {
    /// Newest first, without attempts.
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
            description = "Only messages with a delivery in this state: `waiting`, `sent`, `delivered` or `failed`."),
        ("since" = Option<String>, Query, format = DateTime, description = "Only messages accepted at or after this time, or since the beginning of this day."),
        ("tz" = Option<String>, Query, description = "Offset from UTC of the time zone of days, such as `+03:30`; default UTC."),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$", description = "The `next_cursor` of the previous page."),
        ("limit" = Option<u32>, Query, minimum = 1, description = "Maximum number of messages."),
    ),
    responses((status = 200, description = "A page of messages.", body = MessagePageView), AuthErrorResponses, BadRequestResponses, StoreErrorResponses)
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> JsonResult<MessagePageView> {
    let caller = auth::authorize(&gateway, &headers, Scope::Read)?;
    let mut filter = parse_query(&gateway, &query.unwrap_or_default())
        .map_err(|violations| Problem::invalid_query(&violations))?;
    filter.owner = caller.owner_filter().map(str::to_owned);
    let page = gateway.store.search(filter).await.or_problem(&gateway, "list messages")?;
    let now = gateway.clock.now();
    let summary = |message| MessageView::summary(message, now);
    Ok(Json(MessagePageView {
        messages: page.messages.into_iter().map(summary).collect(),
        next_cursor: page.next.map(cursor::encode),
    }))
}

/// Parses a query string, or returns all invalid parameters. An empty value counts as not given.
fn parse_query(gateway: &Gateway, query: &str) -> Result<MessageQuery, Vec<Violation>> {
    let mut filter = MessageQuery {
        limit: cursor::PAGE_LIMIT_DEFAULT.min(gateway.config.limits.page_limit_max),
        ..MessageQuery::default()
    };
    let time_zone = form::field(query.as_bytes(), "tz").unwrap_or_default();
    let offset = usage_params::parse_offset(&time_zone).unwrap_or(Utc.fix());
    form::read_params(query, |name, value| match name {
        "to" => {
            let phone_number = form::phone_number(query.as_bytes(), "to");
            set_param(gateway, &mut filter, offset, name, phone_number.as_deref().unwrap_or(value))
        }
        _ => set_param(gateway, &mut filter, offset, name, value),
    })?;
    Ok(filter)
}

fn set_param(
    gateway: &Gateway,
    filter: &mut MessageQuery,
    offset: FixedOffset,
    name: &str,
    value: &str,
) -> Result<(), Cow<'static, str>> {
    let limit_max = gateway.config.limits.page_limit_max;
    match name {
        "to" => {
            let address = normalize_address(gateway, value);
            filter.to = Some(address.ok_or("must be an address on a configured channel")?);
        }
        "state" => {
            let state = DeliveryStateKind::parse(value);
            filter.state = Some(state.ok_or("must be waiting, sent, delivered or failed")?);
        }
        "since" => {
            let since = usage_params::parse_time(value, offset, Days::new(0));
            filter.since =
                Some(since.ok_or(
                    "must be a time such as \"2030-01-31T08:30:00Z\", or a day such as \"2030-01-31\"",
                )?);
        }
        "tz" if usage_params::parse_offset(value).is_none() => {
            return Err("must be an offset from UTC such as +03:30, or Z".into());
        }
        "tz" => {}
        "cursor" => filter.before = Some(cursor::parse(value)?),
        "limit" => filter.limit = cursor::parse_limit(value, limit_max)?,
        _ => return Err("unknown parameter; known are to, state, since, tz, cursor, limit".into()),
    }
    Ok(())
}

/// Normalizes an address from a query like the stored addresses: as a phone number, if the text is one and a channel
/// accepts phone numbers.
pub(crate) fn normalize_address(gateway: &Gateway, typed: &str) -> Option<String> {
    let channels = &gateway.config.channels;
    let routes = || channels.iter().filter_map(|channel| gateway.route(channel.name.as_str()));
    AddressKind::ALL
        .into_iter()
        .filter(|kind| routes().any(|route| route.address_kinds().contains(kind)))
        .find_map(|kind| parse_address(kind, typed, &gateway.config.phone).ok())
}
