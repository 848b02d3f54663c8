//! `GET /v1/users/{id}/inbox` and `POST /v1/users/{id}/inbox/{message}/read`: the messages of a registered user.
//!
//! Marking a message as read works like a receipt and counts once. A message that never arrived is not marked.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{JsonResult, PathParams};
use super::users;
use crate::error_responses::{
    AuthErrorResponses, BadRequestResponses, NotFoundResponses, StoreErrorResponses,
};
use crate::problem::{Problem, StoreResult as _, Violation};
use crate::{auth, cursor, form};
use postrider_core::broadcast::BroadcastId;
use postrider_core::message::Message;
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::usage::rfc3339;
use postrider_engine::user_inbox;

/// A page of a user's inbox.
#[derive(Serialize, ToSchema)]
#[schema(as = UserInboxPage)]
pub(super) struct UserInboxView {
    /// Newest first.
    messages: Vec<UserInboxMessageView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A message in a user's inbox.
#[derive(Serialize, ToSchema)]
#[schema(as = UserInboxMessage)]
struct UserInboxMessageView {
    /// The message's id.
    #[schema(format = "uuid")]
    id: String,
    /// Subject of the message.
    subject: Option<String>,
    /// Text of the message.
    body: String,
    /// Time of acceptance.
    #[schema(format = DateTime)]
    created_at: String,
    /// `delivered`, or `sent` if a provider accepted it and no delivery receipt arrived.
    state: &'static str,
    /// Time at which the user first opened it.
    #[schema(format = DateTime)]
    opened_at: Option<String>,
    /// The broadcast it belongs to.
    #[schema(format = "uuid")]
    broadcast_id: Option<String>,
}

/// State of a message in a user's inbox.
#[derive(Serialize, ToSchema)]
#[schema(as = UserInboxState)]
pub(super) struct UserInboxStateView {
    /// The message's id.
    #[schema(format = "uuid")]
    id: String,
    /// `waiting`, `sent`, `delivered` or `failed`.
    state: &'static str,
    /// Time at which the user first opened it; null if it never arrived.
    #[schema(format = DateTime)]
    opened_at: Option<String>,
}

/// Lists the messages that were sent to a user or have arrived, newest first.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/inbox",
    operation_id = "list_inbox",
    tag = "native",
    params(
        ("id" = String, Path, description = "User id, assigned by the client."),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$", description = "The `next_cursor` of the previous page."),
        ("limit" = Option<u32>, Query, minimum = 1, description = "Maximum number of messages."),
    ),
    responses((status = 200, description = "A page of the inbox.", body = UserInboxView), AuthErrorResponses, BadRequestResponses, NotFoundResponses, StoreErrorResponses)
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    PathParams(id): PathParams<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> JsonResult<UserInboxView> {
    let caller = auth::authorize(&gateway, &headers, Scope::Read)?;
    let (before, limit) = parse_query(&gateway, &query.unwrap_or_default())
        .map_err(|violations| Problem::invalid_query(&violations))?;
    let owner = users::find_user(&gateway, &caller, &id).await?.owner;
    let inbox_page = gateway.store.user_inbox(&id, Some(&owner), before, limit).await;
    let inbox_page = inbox_page.or_problem(&gateway, "read the inbox")?;
    let message_view = |(message, broadcast)| UserInboxMessageView::new(message, broadcast);
    Ok(Json(UserInboxView {
        messages: inbox_page.messages.into_iter().map(message_view).collect(),
        next_cursor: inbox_page.next.map(cursor::encode),
    }))
}

/// Parses a query string into cursor and limit, or returns all invalid parameters.
fn parse_query(gateway: &Gateway, query: &str) -> Result<(Option<i64>, usize), Vec<Violation>> {
    let limit_max = gateway.config.limits.page_limit_max;
    let (mut before, mut limit) = (None, cursor::PAGE_LIMIT_DEFAULT.min(limit_max));
    form::read_params(query, |name, value| {
        match name {
            "cursor" => before = Some(cursor::parse(value)?),
            "limit" => limit = cursor::parse_limit(value, limit_max)?,
            _ => return Err("unknown parameter; known are cursor, limit".into()),
        }
        Ok(())
    })?;
    Ok((before, limit))
}

/// Marks a message as read by its user, and so as delivered.
///
/// A second call changes nothing, and neither does a call for a message that never arrived; both return the message's
/// state.
#[utoipa::path(
    post,
    path = "/v1/users/{id}/inbox/{message}/read",
    operation_id = "read_message",
    tag = "native",
    params(
        ("id" = String, Path, description = "User id, assigned by the client."),
        ("message" = String, Path, format = "uuid", description = "The message's id."),
    ),
    responses((status = 200, description = "State of the message.", body = UserInboxStateView), AuthErrorResponses, NotFoundResponses, StoreErrorResponses)
)]
pub(super) async fn read(
    State(gateway): State<Arc<Gateway>>,
    PathParams((user, message)): PathParams<(String, String)>,
    headers: HeaderMap,
) -> JsonResult<UserInboxStateView> {
    let caller = auth::authorize(&gateway, &headers, Scope::Send)?;
    let owner = users::find_user(&gateway, &caller, &user).await?.owner;
    let not_found = || Problem::not_found(format!("there is no message {message} to \"{user}\""));
    let id = message.parse().map_err(|_| not_found())?;
    let marked = user_inbox::mark_read(&gateway, &user, &owner, id).await;
    let message = marked.or_problem(&gateway, "mark the message as read")?.ok_or_else(not_found)?;
    Ok(Json(UserInboxStateView {
        id: message.id.to_string(),
        state: user_inbox::message_state(&message).as_str(),
        opened_at: opened_at(&message),
    }))
}

impl UserInboxMessageView {
    fn new(message: Message, broadcast: Option<BroadcastId>) -> Self {
        Self {
            id: message.id.to_string(),
            state: user_inbox::message_state(&message).as_str(),
            opened_at: opened_at(&message),
            created_at: rfc3339(message.created_at),
            subject: message.subject,
            body: message.body,
            broadcast_id: broadcast.map(|id| id.to_string()),
        }
    }
}

fn opened_at(message: &Message) -> Option<String> {
    message.deliveries.iter().filter_map(|delivery| delivery.opened_at).min().map(rfc3339)
}
