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

use super::users;
use super::wire::rfc3339;
use super::{Answer, Segment};
use crate::config::Scope;
use crate::domain::broadcast::BroadcastId;
use crate::domain::message::Message;
use crate::flow::inbox;
use crate::gateway::Gateway;
use crate::http::describe::{Denied, Failed, Misread, Missing};
use crate::http::problem::{Problem, Violation};
use crate::http::{auth, cursor, form};

/// How many messages a page has when the client does not say.
const LIMIT_DEFAULT: usize = 50;

/// A page of an inbox and the way to the next one.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxPage)]
pub(super) struct InboxView {
    /// Newest first.
    messages: Vec<LetterView>,
    /// The `cursor` of the next page; null on the last one.
    next: Option<String>,
}

/// A message as its user sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Letter)]
struct LetterView {
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
    broadcast: Option<String>,
}

/// Where a message stands for its user.
#[derive(Serialize, ToSchema)]
#[schema(as = LetterStanding)]
pub(super) struct StandingView {
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
    responses((status = 200, description = "A page of the inbox.", body = InboxView), Denied, Misread, Missing, Failed)
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Segment(id): Segment,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<InboxView>, Response<Body>> {
    auth::caller(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    page(&gateway, &id, &query.unwrap_or_default())
        .await
        .map_err(IntoResponse::into_response)
}

async fn page(gateway: &Gateway, id: &str, query: &str) -> Answer<InboxView> {
    let (before, limit) =
        read_query(gateway, query).map_err(|wrong| Problem::invalid(StatusCode::BAD_REQUEST, &wrong))?;
    users::found(gateway, id).await?;
    let inbox = gateway.store.inbox(id, before, limit).await;
    let inbox = inbox.map_err(|error| Problem::failed(gateway, "read the inbox", &error))?;
    let messages = inbox.messages.into_iter();
    Ok(Json(InboxView {
        messages: messages
            .map(|(message, broadcast)| LetterView::new(message, broadcast))
            .collect(),
        next: inbox.next.map(cursor::of),
    }))
}

/// Where the page begins and how long it is, or everything that is wrong with the query.
fn read_query(gateway: &Gateway, query: &str) -> Result<(Option<i64>, usize), Vec<Violation>> {
    let pairs = form::pairs(query.as_bytes())
        .map_err(|garbled| vec![Violation::new("query", garbled.to_string())])?;
    let longest = gateway.config.limits.page_limit_max;
    let (mut before, mut limit) = (None, LIMIT_DEFAULT.min(longest));
    let mut violations = Vec::new();
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        let wrong: Option<Cow<'static, str>> = match &*name {
            "cursor" => {
                before = cursor::number(&value);
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
pub(super) struct Named {
    user: String,
    message: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Path((user, message)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::missing("this path is not UTF-8, so it leads nowhere"))?;
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
    responses((status = 200, description = "Where the message stands.", body = StandingView), Denied, Missing, Failed)
)]
pub(super) async fn read(
    State(gateway): State<Arc<Gateway>>,
    named: Named,
    headers: HeaderMap,
) -> Result<Json<StandingView>, Response<Body>> {
    auth::caller(&gateway, &headers, Scope::Send).map_err(IntoResponse::into_response)?;
    was_read(&gateway, &named)
        .await
        .map_err(IntoResponse::into_response)
}

async fn was_read(gateway: &Gateway, named: &Named) -> Answer<StandingView> {
    let Named { user, message } = named;
    users::found(gateway, user).await?;
    let missing = || Problem::missing(format!("there is no message {message} to \"{user}\""));
    let id = message.parse().map_err(|_| missing())?;
    let read = inbox::read(gateway, user, id).await;
    let read = read.map_err(|error| Problem::failed(gateway, "note that the message was read", &error))?;
    let message = read.ok_or_else(missing)?;
    Ok(Json(StandingView {
        id: message.id.to_string(),
        state: inbox::standing(&message).word(),
        opened_at: opened_at(&message),
    }))
}

impl LetterView {
    fn new(message: Message, broadcast: Option<BroadcastId>) -> Self {
        Self {
            id: message.id.to_string(),
            state: inbox::standing(&message).word(),
            opened_at: opened_at(&message),
            created_at: rfc3339(message.created_at),
            subject: message.subject,
            body: message.body,
            broadcast: broadcast.map(|id| id.to_string()),
        }
    }
}

fn opened_at(message: &Message) -> Option<String> {
    let deliveries = message.deliveries.iter();
    let first = deliveries.filter_map(|delivery| delivery.opened_at).min();
    first.map(rfc3339)
}
