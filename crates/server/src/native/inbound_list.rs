//! `GET /v1/inbound?from=&to=&provider=&since=&until=&tz=&cursor=&limit=`: inbound messages, newest first, a page at a time.
//!
//! A key without the scope `admin` sees the messages of its own routes. All invalid parameters are reported at once.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use chrono::{Days, FixedOffset, Offset, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::JsonResult;
use super::message_list::normalize_address;
use crate::error_responses::{AuthErrorResponses, BadRequestResponses, StoreErrorResponses};
use crate::problem::{Problem, StoreResult as _, Violation};
use crate::{auth, cursor, form, usage_params};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::inbound::InboundView;
use postrider_store::InboundQuery;

/// A page of inbound messages.
#[derive(Serialize, ToSchema)]
#[schema(as = InboundPage)]
pub(super) struct InboundPageView {
    /// Newest first.
    messages: Vec<InboundView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Lists inbound messages, newest first.
#[utoipa::path(
    get,
    path = "/v1/inbound",
    operation_id = "list_inbound_messages",
    tag = "native",
    params(
        ("from" = Option<String>, Query, description = "Only messages from this address."),
        ("to" = Option<String>, Query, description = "Only messages to this number or name of ours, as in the field `to`."),
        ("provider" = Option<String>, Query, description = "Only messages of this provider."),
        ("since" = Option<String>, Query, format = DateTime, description = "Only messages received at or after this time, or since the beginning of this day."),
        ("until" = Option<String>, Query, format = DateTime, description = "Only messages received before this time, or until the end of this day."),
        ("tz" = Option<String>, Query, description = "Offset from UTC of the time zone of days, such as `+03:30`; default UTC."),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{21}[AQgw]$", description = "The `next_cursor` of the previous page."),
        ("limit" = Option<u32>, Query, minimum = 1, description = "Maximum number of messages."),
    ),
    responses((status = 200, description = "A page of inbound messages.", body = InboundPageView), AuthErrorResponses, BadRequestResponses, StoreErrorResponses)
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> JsonResult<InboundPageView> {
    let caller = auth::authorize(&gateway, &headers, Scope::Read)?;
    let mut filter = parse_query(&gateway, &query.unwrap_or_default())
        .map_err(|violations| Problem::invalid_query(&violations))?;
    filter.account = caller.account_filter().map(str::to_owned);
    let limit = filter.limit;
    // One more message than asked for shows whether there is another page.
    filter.limit += 1;
    let found = gateway.store.inbound_messages(filter).await.or_problem(&gateway, "list inbound messages")?;
    let next_cursor = (found.len() > limit).then(|| cursor::encode_id(found[limit - 1].id));
    let messages = found.into_iter().take(limit).map(InboundView::from).collect();
    Ok(Json(InboundPageView { messages, next_cursor }))
}

/// Parses a query string, or returns all invalid parameters. An empty value counts as not given.
fn parse_query(gateway: &Gateway, query: &str) -> Result<InboundQuery, Vec<Violation>> {
    let mut filter = InboundQuery {
        limit: cursor::PAGE_LIMIT_DEFAULT.min(gateway.config.limits.page_limit_max),
        ..InboundQuery::default()
    };
    let time_zone = form::field(query.as_bytes(), "tz").unwrap_or_default();
    let offset = usage_params::parse_offset(&time_zone).unwrap_or(Utc.fix());
    form::read_params(query, |name, value| match name {
        "from" | "to" => {
            let phone_number = form::phone_number(query.as_bytes(), name);
            set_param(gateway, &mut filter, offset, name, phone_number.as_deref().unwrap_or(value))
        }
        _ => set_param(gateway, &mut filter, offset, name, value),
    })?;
    Ok(filter)
}

fn set_param(
    gateway: &Gateway,
    filter: &mut InboundQuery,
    offset: FixedOffset,
    name: &str,
    value: &str,
) -> Result<(), Cow<'static, str>> {
    let time = |days_after| {
        let time = usage_params::parse_time(value, offset, Days::new(days_after));
        time.ok_or("must be a time such as \"2030-01-31T08:30:00Z\", or a day such as \"2030-01-31\"")
    };
    match name {
        "from" => {
            // A sender that is no address of a channel, such as a name, is stored as it is.
            let address = normalize_address(gateway, value).unwrap_or_else(|| value.to_owned());
            filter.from = Some(address);
        }
        "to" => filter.to = Some(value.to_owned()),
        "provider" => filter.provider = Some(value.parse().map_err(|_| "must be the name of a provider")?),
        "since" => filter.since = Some(time(0)?),
        "until" => filter.until = Some(time(1)?),
        "tz" if usage_params::parse_offset(value).is_none() => {
            return Err("must be an offset from UTC such as +03:30, or Z".into());
        }
        "tz" => {}
        "cursor" => filter.before = Some(cursor::parse_id(value)?),
        "limit" => filter.limit = cursor::parse_limit(value, gateway.config.limits.page_limit_max)?,
        _ => {
            let known = "unknown parameter; known are from, to, provider, since, until, tz, cursor, limit";
            return Err(known.into());
        }
    }
    Ok(())
}
