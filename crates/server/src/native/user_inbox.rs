//! `GET /v1/users/{id}/inbox` and `POST /v1/users/{id}/inbox/{message}/read`: what a user has received, and that it was
//! read.
//!
//! Reading goes the way of receipts and counts once. What never arrived is not read by saying so.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::message_view::rfc3339;
use super::users;
use super::{JsonResult, PathSegment};
use crate::openapi::{AuthErrorResponses, BadRequestResponses, NotFoundResponses, StoreErrorResponses};
use crate::problem::{Problem, Violation};
use crate::{auth, cursor, form};
use postrider_core::broadcast::BroadcastId;
use postrider_core::message::Message;
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::user_inbox;

/// How many messages a page has when the client does not say.
const LIMIT_DEFAULT: usize = 50;

/// A page of an inbox and the way to the next one.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxPage)]
pub(super) struct UserInboxView {
    /// Newest first.
    messages: Vec<UserInboxMessageView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A message as its user sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Letter)]
struct UserInboxMessageView {
    /// The message's id.
    #[schema(format = "uuid")]
    id: String,
    /// The line above what it says.
    subject: Option<String>,
    /// What it says.
    body: String,
    /// When it was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// `delivered`, or `sent` when a provider has it and nobody has said that it arrived.
    state: &'static str,
    /// When the user opened it first.
    #[schema(format = DateTime)]
    opened_at: Option<String>,
    /// The broadcast it came from.
    #[schema(format = "uuid")]
    broadcast_id: Option<String>,
}

/// Where a message stands for its user.
#[derive(Serialize, ToSchema)]
#[schema(as = LetterStanding)]
pub(super) struct UserInboxStateView {
    /// The message's id.
    #[schema(format = "uuid")]
    id: String,
    /// `waiting`, `sent`, `delivered` or `failed`.
    state: &'static str,
    /// When the user opened it first; null when it never arrived.
    #[schema(format = DateTime)]
    opened_at: Option<String>,
}

/// Lists what was sent to a user, or has arrived, newest first.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/inbox",
    operation_id = "list_inbox",
    tag = "native",
    params(
        ("id" = String, Path, description = "The client's own name for the user."),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]$", description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, description = "At most so many messages."),
    ),
    responses((status = 200, description = "A page of the inbox.", body = UserInboxView), AuthErrorResponses, BadRequestResponses, NotFoundResponses, StoreErrorResponses)
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    PathSegment(id): PathSegment,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<UserInboxView>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    inbox_page(&gateway, &id, &query.unwrap_or_default())
        .await
        .map_err(IntoResponse::into_response)
}

async fn inbox_page(gateway: &Gateway, id: &str, query: &str) -> JsonResult<UserInboxView> {
    let (before, limit) =
        parse_query(gateway, query).map_err(|wrong| Problem::invalid(StatusCode::BAD_REQUEST, &wrong))?;
    users::find_user(gateway, id).await?;
    let inbox = gateway.store.user_inbox(id, before, limit).await;
    let inbox = inbox.map_err(|error| Problem::from_error(gateway, "read the inbox", &error))?;
    let messages = inbox.messages.into_iter();
    Ok(Json(UserInboxView {
        messages: messages
            .map(|(message, broadcast)| UserInboxMessageView::new(message, broadcast))
            .collect(),
        next_cursor: inbox.next.map(cursor::encode),
    }))
}

/// Where the page begins and how long it is, or everything that is wrong with the query.
fn parse_query(gateway: &Gateway, query: &str) -> Result<(Option<i64>, usize), Vec<Violation>> {
    let pairs = form::pairs(query.as_bytes())
        .map_err(|garbled| vec![Violation::new("query", garbled.to_string())])?;
    let longest = gateway.config.limits.page_limit_max;
    let (mut before, mut limit) = (None, LIMIT_DEFAULT.min(longest));
    let mut violations = Vec::new();
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        let wrong: Option<Cow<'static, str>> = match &*name {
            "cursor" => {
                before = cursor::decode(&value);
                before
                    .is_none()
                    .then(|| "must be the \"next\" of the page before, unchanged".into())
            }
            "limit" => match value.parse() {
                Ok(wanted) if (1..=longest).contains(&wanted) => {
                    limit = wanted;
                    None
                }
                _ => Some(format!("must be a number from 1 to {longest}").into()),
            },
            _ => Some("there is no such parameter; known are cursor, limit".into()),
        };
        violations.extend(wrong.map(|wrong| Violation::new(name, wrong)));
    }
    if violations.is_empty() {
        Ok((before, limit))
    } else {
        Err(violations)
    }
}

/// A user and a message, as the path has them.
pub(super) struct UserMessagePath {
    user: String,
    message: String,
}

impl<S: Send + Sync> FromRequestParts<S> for UserMessagePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Path((user, message)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("this path is not UTF-8, so it leads nowhere"))?;
        Ok(Self { user, message })
    }
}

/// Says that a user has read a message, and so that it arrived.
///
/// The second time changes nothing, and so does reading what never arrived; both are answered with where the message
/// stands.
#[utoipa::path(
    post,
    path = "/v1/users/{id}/inbox/{message}/read",
    operation_id = "read_message",
    tag = "native",
    params(
        ("id" = String, Path, description = "The client's own name for the user."),
        ("message" = String, Path, format = "uuid", description = "The message's id."),
    ),
    responses((status = 200, description = "Where the message stands.", body = UserInboxStateView), AuthErrorResponses, NotFoundResponses, StoreErrorResponses)
)]
pub(super) async fn read(
    State(gateway): State<Arc<Gateway>>,
    named: UserMessagePath,
    headers: HeaderMap,
) -> Result<Json<UserInboxStateView>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Send).map_err(IntoResponse::into_response)?;
    mark_read(&gateway, &named)
        .await
        .map_err(IntoResponse::into_response)
}

async fn mark_read(gateway: &Gateway, named: &UserMessagePath) -> JsonResult<UserInboxStateView> {
    let UserMessagePath { user, message } = named;
    users::find_user(gateway, user).await?;
    let missing = || Problem::not_found(format!("there is no message {message} to \"{user}\""));
    let id = message.parse().map_err(|_| missing())?;
    let read = user_inbox::mark_read(gateway, user, id).await;
    let read =
        read.map_err(|error| Problem::from_error(gateway, "note that the message was read", &error))?;
    let message = read.ok_or_else(missing)?;
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
    let deliveries = message.deliveries.iter();
    let first = deliveries.filter_map(|delivery| delivery.opened_at).min();
    first.map(rfc3339)
}
