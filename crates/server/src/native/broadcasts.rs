//! `POST /v1/broadcasts` and `GET /v1/broadcasts/{id}`: one body to many users, and its counts.
//!
//! 202 means that the broadcast and its set of users are on disk; the messages are made afterwards.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::extract::{JsonResult, PathParams, accepted_response};
use crate::body::RepeatableRequest;
use crate::error_responses::{
    AuthErrorResponses, BodyErrorResponses, NotFoundResponses, NotJsonResponses, SpendingLimitResponses,
    StoreErrorResponses,
};
use crate::json_fields::{ObjectReader, json_body};
use crate::problem::{self, PROBLEM_JSON, Problem, ProblemView, StoreResult as _, Violation};
use crate::{auth, errors};
use postrider_core::broadcast::{Broadcast, BroadcastAudience, BroadcastCounts};
use postrider_engine::accept::AcceptError;
use postrider_engine::broadcast::{self, BroadcastError, BroadcastRequest, PublishedBroadcast};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::usage::rfc3339;

json_body! {
    /// A broadcast, as the native API accepts it: to `users`, or to `all`.
    pub(super) struct BroadcastSubmission {
        /// The message text. The configuration limits its length.
        #[schema(min_length = 1)]
        body: String,
        /// User ids of the recipients.
        #[schema(min_items = 1, max_items = 10000, example = json!(["ana"]))]
        users: Option<Vec<String>>,
        /// `true` to send to all users that are registered now.
        all: Option<bool>,
        /// The channel; default: `sms`, else the first channel that takes phone numbers.
        channel: Option<String>,
    }
}

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
    fn new(broadcast: Broadcast, message_counts: &BroadcastCounts) -> Self {
        Self {
            id: broadcast.id.to_string(),
            body: broadcast.body,
            channel: broadcast.channel.to_string(),
            created_at: rfc3339(broadcast.created_at),
            fanned_out: broadcast.is_fanned_out,
            users: broadcast.users,
            sent: message_counts.messages,
            received: message_counts.received,
            opened: message_counts.opened,
            unconfirmed: message_counts.unconfirmed,
            waiting: message_counts.waiting,
            failed: message_counts.failed,
            unreachable: broadcast.unreachable,
            refused: broadcast.refused,
            pruned: broadcast.messages.saturating_sub(message_counts.messages),
            received_ratio: message_counts.received_ratio(),
            opened_ratio: message_counts.opened_ratio(),
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
        AuthErrorResponses, BodyErrorResponses, NotJsonResponses, SpendingLimitResponses, StoreErrorResponses,
    )
)]
pub(super) async fn publish(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let request = RepeatableRequest::read(&gateway, request).await?;
    let mut broadcast_request = parse_broadcast(&gateway, &request.object)?;
    request.api_key_name.clone_into(&mut broadcast_request.api_key_name);
    broadcast_request.idempotency_key = request.idempotency_key("broadcasts")?;
    match broadcast::publish(&gateway, broadcast_request).await {
        Ok(published) => Ok(published_response(&published)),
        Err(error) => Err(publish_error_problem(&error)),
    }
}

fn published_response(published: &PublishedBroadcast) -> Response<Body> {
    let accepted_view = AcceptedBroadcastView { id: published.id.to_string(), status: "accepted" };
    let location = format!("/v1/broadcasts/{}", published.id);
    accepted_response(StatusCode::ACCEPTED, &location, accepted_view, published.is_replay)
}

/// Parses the request without its idempotency key, or returns all invalid fields.
fn parse_broadcast(
    gateway: &Gateway,
    object: &Map<String, Value>,
) -> Result<BroadcastRequest, Vec<Violation>> {
    let mut broadcast_fields = ObjectReader::new(object, "").refuse_unknown(BroadcastSubmission::FIELDS);
    let request = BroadcastRequest {
        body: broadcast_fields.required_string("body").unwrap_or_default(),
        channel: broadcast_fields
            .string("channel")
            .unwrap_or_else(|| errors::default_channel(gateway).to_owned()),
        audience: read_audience(&mut broadcast_fields),
        api_key_name: String::new(),
        idempotency_key: None,
    };
    broadcast_fields.finish(request)
}

fn read_audience(broadcast_fields: &mut ObjectReader<'_>) -> BroadcastAudience {
    let to_all = broadcast_fields.boolean("all");
    if to_all.is_none() && broadcast_fields.get("all").is_some() {
        return BroadcastAudience::All;
    }
    match (broadcast_fields.get("users"), to_all.unwrap_or(false)) {
        (Some(_), true) => broadcast_fields.add_violation("users", "cannot be combined with all"),
        (Some(_), false) => {
            if let Some(user_ids) =
                broadcast_fields.read("users", "must be a list of strings", parse_user_ids)
            {
                return BroadcastAudience::Listed(user_ids);
            }
        }
        (None, true) => {}
        (None, false) => {
            broadcast_fields.add_violation("users", "is missing: list user ids, or send \"all\": true");
        }
    }
    BroadcastAudience::All
}

fn parse_user_ids(json: &Value) -> Option<Vec<String>> {
    json.as_array()?.iter().map(|id| id.as_str().map(str::to_owned)).collect()
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
            let quoted_ids = first.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(", ");
            let and_others = match count - first.len() {
                0 => String::new(),
                1 => " and one other".to_owned(),
                other_count => format!(" and {other_count} others"),
            };
            Violation::new("users", format!("contains unregistered users: {quoted_ids}{and_others}"))
        }
    };
    violation.into()
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
    PathParams(id): PathParams<String>,
    headers: HeaderMap,
) -> JsonResult<BroadcastView> {
    let caller = auth::authorize(&gateway, &headers, Scope::Read)?;
    let not_found = || Problem::not_found(format!("there is no broadcast with the id {id}"));
    let broadcast_id = id.parse().map_err(|_| not_found())?;
    let broadcast_and_counts =
        gateway.store.broadcast(broadcast_id).await.or_problem(&gateway, "read the broadcast")?;
    let (broadcast, counts) =
        broadcast_and_counts.filter(|(found, _)| caller.can_access(&found.owner)).ok_or_else(not_found)?;
    Ok(Json(BroadcastView::new(broadcast, &counts)))
}
