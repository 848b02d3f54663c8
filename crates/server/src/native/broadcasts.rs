//! `POST /v1/broadcasts` and `GET /v1/broadcasts/{id}`: one body to many users, and what became of it.
//!
//! 202 means that the broadcast is on disk, with the mark of who was registered then; it becomes messages afterwards.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::message_view::rfc3339;
use super::{JsonResult, PathSegment, invalid_fields};
use crate::openapi::{
    AuthErrorResponses, BodyErrorResponses, BroadcastSubmission, NotFoundResponses, NotJsonResponses,
    ProblemView, StoreErrorResponses,
};
use crate::problem::{self, PROBLEM_JSON, Problem, Violation};
use crate::{auth, body, errors};
use postrider_core::broadcast::{Broadcast, BroadcastAudience, BroadcastCounts};
use postrider_engine::accept::AcceptError;
use postrider_engine::broadcast::{self, BroadcastError, PublishedBroadcast};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;

/// What the object may hold.
const FIELDS: [&str; 4] = ["body", "users", "all", "channel"];

/// A broadcast that is on disk.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedBroadcast)]
pub(super) struct AcceptedBroadcastView {
    /// The broadcast's id.
    #[schema(format = "uuid")]
    id: String,
    /// Always `accepted`.
    status: &'static str,
}

/// A broadcast, and what became of it, counted now.
///
/// Once it is spread, `users` = `sent` + `unreachable` + `refused` + `forgotten`, and at any time `sent` = `received` +
/// `unconfirmed` + `waiting` + `failed`.
#[derive(Serialize, ToSchema)]
#[schema(as = Broadcast)]
pub(super) struct BroadcastView {
    /// The broadcast's id.
    #[schema(format = "uuid")]
    id: String,
    /// What it says.
    body: String,
    /// Over which channel.
    channel: String,
    /// When it was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// Whether every user has been looked at; until then the counts grow.
    fanned_out: bool,
    /// To how many users it goes: those it names, or all who had registered when it was accepted.
    users: u64,
    /// To how many of them there is a message.
    sent: u64,
    /// Messages that arrived.
    received: u64,
    /// Of these, how many were opened.
    opened: u64,
    /// Messages that a provider has, and of which nobody has said that they arrived.
    unconfirmed: u64,
    /// Messages that wait to be sent.
    waiting: u64,
    /// Messages that will not arrive.
    failed: u64,
    /// Users without an address on the channel.
    unreachable: u64,
    /// Users who may not be written to, or have had as many messages as an hour allows.
    refused: u64,
    /// Messages that were deleted because they were old.
    pruned: u64,
    /// `received` / `sent` with two decimals; null when nothing was sent.
    #[schema(pattern = "^[0-9]+[.][0-9]{2}$")]
    received_ratio: Option<String>,
    /// `opened` / `received` with two decimals; null when nothing was received.
    #[schema(pattern = "^[0-9]+[.][0-9]{2}$")]
    opened_ratio: Option<String>,
}

impl BroadcastView {
    fn new(broadcast: Broadcast, tally: &BroadcastCounts) -> Self {
        Self {
            id: broadcast.id.to_string(),
            body: broadcast.body,
            channel: broadcast.channel.to_string(),
            created_at: rfc3339(broadcast.created_at),
            fanned_out: broadcast.is_fanned_out,
            users: broadcast.users,
            sent: tally.messages,
            received: tally.received,
            opened: tally.opened,
            unconfirmed: tally.unconfirmed,
            waiting: tally.waiting,
            failed: tally.failed,
            unreachable: broadcast.unreachable,
            refused: broadcast.refused,
            pruned: broadcast.messages.saturating_sub(tally.messages),
            received_ratio: tally.received_ratio(),
            opened_ratio: tally.opened_ratio(),
        }
    }
}

/// Publishes one body to users who have registered.
///
/// 202 means that the broadcast is on disk; it becomes one message for each user soon afterwards, for nobody two, also
/// when the gateway is killed meanwhile. The same `Idempotency-Key` with the same request is answered the same, with the
/// header `Idempotency-Replayed`, and publishes nothing twice.
#[utoipa::path(
    post,
    path = "/v1/broadcasts",
    operation_id = "publish_broadcast",
    tag = "native",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's name for this request.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body(content = BroadcastSubmission, content_type = "application/json"),
    responses(
        (status = 202, description = "The broadcast is on disk.", body = AcceptedBroadcastView,
            headers(("Location" = String, description = "Where the broadcast is."),
                ("Idempotency-Replayed" = String, description = "`true` when this answer was given before."))),
        (status = 422, description = "What is wrong with it, or who of the users has not registered.", body = ProblemView,
            content_type = PROBLEM_JSON),
        AuthErrorResponses, BodyErrorResponses, NotJsonResponses, StoreErrorResponses,
    )
)]
pub(super) async fn publish(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
) -> Result<Response<Body>, Response<Body>> {
    let (head, content) = request.into_parts();
    let caller =
        auth::authorize(&gateway, &head.headers, Scope::Send).map_err(IntoResponse::into_response)?;
    let object = body::json_object(&gateway, &head.headers, content)
        .await
        .map_err(IntoResponse::into_response)?;
    let mut wanted = parse_broadcast(&gateway, &object)
        .map_err(|violations| invalid_fields(&violations).into_response())?;
    caller.clone_into(&mut wanted.api_key_name);
    let written = || Value::Object(object).to_string();
    wanted.idempotency_key = errors::read_idempotency_key(&head.headers, "broadcasts", caller, written)
        .map_err(|sentence| problem::invalid_idempotency_key(sentence).into_response())?;
    match broadcast::publish(&gateway, wanted).await {
        Ok(published) => Ok(accepted_response(&published)),
        Err(refused) => Err(publish_error_problem(&refused).into_response()),
    }
}

fn accepted_response(published: &PublishedBroadcast) -> Response<Body> {
    let view = AcceptedBroadcastView {
        id: published.id.to_string(),
        status: "accepted",
    };
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/broadcasts/{}", published.id)) {
        headers.insert(LOCATION, location);
    }
    errors::mark_replayed(headers, published.is_replay);
    response
}

/// The broadcast the object asks for, without its key, or everything that is wrong with it.
fn parse_broadcast(
    gateway: &Gateway,
    object: &Map<String, Value>,
) -> Result<broadcast::BroadcastRequest, Vec<Violation>> {
    let mut violations = Vec::new();
    for unknown in object.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        let known = FIELDS.join(", ");
        violations.push(Violation::new(
            unknown,
            format!("there is no such field; known are {known}"),
        ));
    }
    let mut text = |field: &str| match object.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            violations.push(Violation::new(field, "must be a text"));
            None
        }
    };
    let (body, channel) = (text("body"), text("channel"));
    if object.get("body").is_none_or(Value::is_null) {
        violations.push(Violation::new("body", "is missing"));
    }
    let audience = match parse_audience(object) {
        Ok(audience) => Some(audience),
        Err(wrong) => {
            violations.push(wrong);
            None
        }
    };
    match (body, audience) {
        (Some(body), Some(audience)) if violations.is_empty() => Ok(broadcast::BroadcastRequest {
            body,
            channel: channel.unwrap_or_else(|| errors::default_channel(gateway).to_owned()),
            audience,
            api_key_name: String::new(),
            idempotency_key: None,
        }),
        _ => Err(violations),
    }
}

fn parse_audience(object: &Map<String, Value>) -> Result<BroadcastAudience, Violation> {
    let all = match object.get("all") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(all)) => *all,
        Some(_) => return Err(Violation::new("all", "must be true or false")),
    };
    match object.get("users").filter(|users| !users.is_null()) {
        Some(_) if all => Err(Violation::new(
            "users",
            "must not stand beside all; use one of them",
        )),
        None if all => Ok(BroadcastAudience::All),
        None => Err(Violation::new(
            "users",
            "is missing: name users by their ids, or say \"all\": true",
        )),
        Some(Value::Array(users)) => {
            let ids = users.iter().map(|user| user.as_str().map(str::to_owned));
            let ids = ids.collect::<Option<Vec<_>>>();
            ids.map(BroadcastAudience::Listed)
                .ok_or_else(|| Violation::new("users", "must be a list of texts"))
        }
        Some(_) => Err(Violation::new("users", "must be a list of texts")),
    }
}

fn publish_error_problem(refused: &BroadcastError) -> Problem {
    let violation = match refused {
        BroadcastError::Accept(refused) => {
            let field = match refused {
                AcceptError::EmptyBody | AcceptError::InvalidBody | AcceptError::BodyTooLong(_) => "body",
                AcceptError::UnknownChannel(_) => "channel",
                _ => return problem::accept_error(refused),
            };
            Violation::new(field, errors::accept_error_message(refused))
        }
        BroadcastError::NoUsers => Violation::new("users", "must name at least one user"),
        BroadcastError::TooManyUsers(most) => {
            Violation::new("users", format!("must not name more than {most} users"))
        }
        BroadcastError::UnknownUsers { first, count } => {
            let named = first.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>();
            let others = match count - first.len() {
                0 => String::new(),
                1 => " and one other".to_owned(),
                others => format!(" and {others} others"),
            };
            let named = named.join(", ");
            Violation::new("users", format!("names who has not registered: {named}{others}"))
        }
    };
    invalid_fields(&[violation])
}

/// Shows a broadcast with its counts.
#[utoipa::path(
    get,
    path = "/v1/broadcasts/{id}",
    operation_id = "show_broadcast",
    tag = "native",
    params(("id" = String, Path, format = "uuid", description = "The broadcast's id.")),
    responses((status = 200, description = "The broadcast, counted now.", body = BroadcastView), AuthErrorResponses, NotFoundResponses, StoreErrorResponses)
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathSegment(id): PathSegment,
    headers: HeaderMap,
) -> Result<Json<BroadcastView>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    broadcast_response(&gateway, &id)
        .await
        .map_err(IntoResponse::into_response)
}

async fn broadcast_response(gateway: &Gateway, id: &str) -> JsonResult<BroadcastView> {
    let missing = || Problem::not_found(format!("there is no broadcast with the id {id}"));
    let known = id.parse().map_err(|_| missing())?;
    let found = gateway.store.broadcast(known).await;
    let found = found.map_err(|error| Problem::from_error(gateway, "read the broadcast", &error))?;
    let (broadcast, tally) = found.ok_or_else(missing)?;
    Ok(Json(BroadcastView::new(broadcast, &tally)))
}
