//! `POST /v1/broadcasts` and `GET /v1/broadcasts/{id}`: one body to many users, and its counts.
//!
//! 202 means that the broadcast and its set of users are on disk; the messages are made afterwards.

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

use super::extract::{JsonResult, PathSegment, invalid_fields};
use super::fields::ObjectReader;
use crate::error_responses::{
    AuthErrorResponses, BodyErrorResponses, NotFoundResponses, NotJsonResponses, ProblemView,
    StoreErrorResponses,
};
use crate::problem::{self, PROBLEM_JSON, Problem, Violation};
use crate::request_bodies::BroadcastSubmission;
use crate::{auth, body, errors};
use postrider_core::broadcast::{Broadcast, BroadcastAudience, BroadcastCounts};
use postrider_engine::accept::AcceptError;
use postrider_engine::broadcast::{self, BroadcastError, PublishedBroadcast};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::usage::rfc3339;

/// Fields of the request body.
const FIELDS: [&str; 4] = ["body", "users", "all", "channel"];

/// A broadcast that was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedBroadcast)]
pub(super) struct AcceptedBroadcastView {
    /// The broadcast's id.
    #[schema(format = "uuid")]
    id: String,
    /// Always `accepted`.
    status: &'static str,
}

/// A broadcast with its current counts.
///
/// After the fan-out `users` = `sent` + `unreachable` + `refused` + `pruned`; at any time `sent` = `received` +
/// `unconfirmed` + `waiting` + `failed`.
#[derive(Serialize, ToSchema)]
#[schema(as = Broadcast)]
pub(super) struct BroadcastView {
    /// The broadcast's id.
    #[schema(format = "uuid")]
    id: String,
    /// The message text.
    body: String,
    /// The channel.
    channel: String,
    /// Time of acceptance.
    #[schema(format = DateTime)]
    created_at: String,
    /// `true` when the fan-out is complete; until then the counts grow.
    fanned_out: bool,
    /// Number of users: those it names, or all that were registered when it was accepted.
    users: u64,
    /// Users with a message.
    sent: u64,
    /// Messages that arrived.
    received: u64,
    /// Received messages that were opened.
    opened: u64,
    /// Messages that a provider accepted, without a delivery receipt.
    unconfirmed: u64,
    /// Messages that are not sent yet.
    waiting: u64,
    /// Messages that failed finally.
    failed: u64,
    /// Users without an address on the channel.
    unreachable: u64,
    /// Users that are inactive, opted out, or over their hourly message limit.
    refused: u64,
    /// Messages that were deleted because of their age.
    pruned: u64,
    /// `received` / `sent` with two decimals; null when nothing was sent.
    #[schema(pattern = "^[0-9]+[.][0-9]{2}$")]
    received_ratio: Option<String>,
    /// `opened` / `received` with two decimals; null when nothing was received.
    #[schema(pattern = "^[0-9]+[.][0-9]{2}$")]
    opened_ratio: Option<String>,
}

impl BroadcastView {
    fn new(broadcast: Broadcast, counts: &BroadcastCounts) -> Self {
        Self {
            id: broadcast.id.to_string(),
            body: broadcast.body,
            channel: broadcast.channel.to_string(),
            created_at: rfc3339(broadcast.created_at),
            fanned_out: broadcast.is_fanned_out,
            users: broadcast.users,
            sent: counts.messages,
            received: counts.received,
            opened: counts.opened,
            unconfirmed: counts.unconfirmed,
            waiting: counts.waiting,
            failed: counts.failed,
            unreachable: broadcast.unreachable,
            refused: broadcast.refused,
            pruned: broadcast.messages.saturating_sub(counts.messages),
            received_ratio: counts.received_ratio(),
            opened_ratio: counts.opened_ratio(),
        }
    }
}

/// Publishes one body to registered users.
///
/// 202 means that the broadcast is on disk; soon afterwards each user gets exactly one message, even if the gateway is
/// killed meanwhile. A repeated request with the same `Idempotency-Key` gets the same response, with the header
/// `Idempotency-Replayed`, and publishes nothing.
#[utoipa::path(
    post,
    path = "/v1/broadcasts",
    operation_id = "publish_broadcast",
    tag = "native",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's id of this request.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body(content = BroadcastSubmission, content_type = "application/json"),
    responses(
        (status = 202, description = "The broadcast is on disk.", body = AcceptedBroadcastView,
            headers(("Location" = String, description = "URL of the broadcast."),
                ("Idempotency-Replayed" = String, description = "`true` if this is the response to an earlier request."))),
        (status = 422, description = "A field is not valid, or users are not registered.", body = ProblemView,
            content_type = PROBLEM_JSON),
        AuthErrorResponses, BodyErrorResponses, NotJsonResponses, StoreErrorResponses,
    )
)]
pub(super) async fn publish(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let (head, content) = request.into_parts();
    let key_name = &auth::authorize(&gateway, &head.headers, Scope::Send)?;
    let object = body::json_object(&gateway, &head.headers, content).await?;
    let mut broadcast_request =
        parse_broadcast(&gateway, &object).map_err(|violations| invalid_fields(&violations))?;
    key_name.clone_into(&mut broadcast_request.api_key_name);
    let fingerprint = || Value::Object(object).to_string();
    broadcast_request.idempotency_key =
        errors::read_idempotency_key(&head.headers, "broadcasts", key_name, fingerprint)
            .map_err(problem::invalid_idempotency_key)?;
    match broadcast::publish(&gateway, broadcast_request).await {
        Ok(published) => Ok(accepted_response(&published)),
        Err(error) => Err(publish_error_problem(&error)),
    }
}

fn accepted_response(published: &PublishedBroadcast) -> Response<Body> {
    let view = AcceptedBroadcastView { id: published.id.to_string(), status: "accepted" };
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/broadcasts/{}", published.id)) {
        headers.insert(LOCATION, location);
    }
    errors::mark_replayed(headers, published.is_replay);
    response
}

/// Parses the request without its idempotency key, or returns all invalid fields.
fn parse_broadcast(
    gateway: &Gateway,
    object: &Map<String, Value>,
) -> Result<broadcast::BroadcastRequest, Vec<Violation>> {
    let mut fields = ObjectReader::new(object, &FIELDS, "");
    let body = fields.required_string("body").unwrap_or_default();
    let channel = fields.string("channel");
    let audience = parse_audience(&mut fields);
    fields.finish(broadcast::BroadcastRequest {
        body,
        channel: channel.unwrap_or_else(|| errors::default_channel(gateway).to_owned()),
        audience,
        api_key_name: String::new(),
        idempotency_key: None,
    })
}

fn parse_audience(fields: &mut ObjectReader<'_>) -> BroadcastAudience {
    let all = match fields.get("all").map(Value::as_bool) {
        None => false,
        Some(Some(all)) => all,
        Some(None) => {
            fields.add_violation("all", "must be true or false");
            return BroadcastAudience::All;
        }
    };
    match fields.get("users") {
        Some(_) if all => fields.add_violation("users", "cannot be combined with all"),
        Some(users) => {
            let ids = users.as_array().map(|ids| ids.iter().map(Value::as_str));
            match ids.and_then(|ids| ids.map(|id| id.map(str::to_owned)).collect()) {
                Some(ids) => return BroadcastAudience::Listed(ids),
                None => fields.add_violation("users", "must be a list of strings"),
            }
        }
        None if all => {}
        None => fields.add_violation("users", "is missing: list user ids, or send \"all\": true"),
    }
    BroadcastAudience::All
}

fn publish_error_problem(error: &BroadcastError) -> Problem {
    let violation = match error {
        BroadcastError::Accept(error) => {
            let field = match error {
                AcceptError::EmptyBody | AcceptError::InvalidBody | AcceptError::BodyTooLong(_) => "body",
                AcceptError::UnknownChannel(_) => "channel",
                _ => return problem::accept_error(error),
            };
            Violation::new(field, errors::accept_error_message(error))
        }
        BroadcastError::NoUsers => Violation::new("users", "must name at least one user"),
        BroadcastError::TooManyUsers(users_max) => {
            Violation::new("users", format!("must not name more than {users_max} users"))
        }
        BroadcastError::UnknownUsers { first, count } => {
            let ids = first.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>();
            let others = match count - first.len() {
                0 => String::new(),
                1 => " and one other".to_owned(),
                others => format!(" and {others} others"),
            };
            let ids = ids.join(", ");
            Violation::new("users", format!("contains unregistered users: {ids}{others}"))
        }
    };
    invalid_fields(&[violation])
}

/// Returns a broadcast with its counts.
#[utoipa::path(
    get,
    path = "/v1/broadcasts/{id}",
    operation_id = "show_broadcast",
    tag = "native",
    params(("id" = String, Path, format = "uuid", description = "The broadcast's id.")),
    responses((status = 200, description = "The broadcast with its current counts.", body = BroadcastView), AuthErrorResponses, NotFoundResponses, StoreErrorResponses)
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathSegment(id): PathSegment,
    headers: HeaderMap,
) -> JsonResult<BroadcastView> {
    auth::authorize(&gateway, &headers, Scope::Read)?;
    let not_found = || Problem::not_found(format!("there is no broadcast with the id {id}"));
    let broadcast_id = id.parse().map_err(|_| not_found())?;
    let broadcast_and_counts = gateway.store.broadcast(broadcast_id).await;
    let broadcast_and_counts =
        broadcast_and_counts.map_err(|error| Problem::from_error(&gateway, "read the broadcast", &error))?;
    let (broadcast, counts) = broadcast_and_counts.ok_or_else(not_found)?;
    Ok(Json(BroadcastView::new(broadcast, &counts)))
}
