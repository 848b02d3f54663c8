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

use super::wire::rfc3339;
use super::{Answer, Segment, invalid};
use crate::config::Scope;
use crate::domain::broadcast::{Audience, Broadcast, Tally};
use crate::flow::accept::Refused;
use crate::flow::broadcast::{self, Published, Unpublished};
use crate::gateway::Gateway;
use crate::http::describe::{BroadcastBody, Denied, Failed, Missing, NotJson, ProblemView, Unread};
use crate::http::problem::{self, PROBLEM_JSON, Problem, Violation};
use crate::http::{auth, body, refusal};

/// What the object may hold.
const FIELDS: [&str; 4] = ["body", "users", "all", "channel"];

/// A broadcast that is on disk.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedBroadcast)]
pub(super) struct AcceptedView {
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
    spread: bool,
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
    forgotten: u64,
    /// `received` / `sent` with two decimals; null when nothing was sent.
    #[schema(pattern = "^[0-9]+[.][0-9]{2}$")]
    received_ratio: Option<String>,
    /// `opened` / `received` with two decimals; null when nothing was received.
    #[schema(pattern = "^[0-9]+[.][0-9]{2}$")]
    opened_ratio: Option<String>,
}

impl BroadcastView {
    fn new(broadcast: Broadcast, tally: &Tally) -> Self {
        Self {
            id: broadcast.id.to_string(),
            body: broadcast.body,
            channel: broadcast.channel.to_string(),
            created_at: rfc3339(broadcast.created_at),
            spread: broadcast.is_spread,
            users: broadcast.users,
            sent: tally.messages,
            received: tally.received,
            opened: tally.opened,
            unconfirmed: tally.unconfirmed,
            waiting: tally.waiting,
            failed: tally.failed,
            unreachable: broadcast.unreachable,
            refused: broadcast.refused,
            forgotten: broadcast.messages.saturating_sub(tally.messages),
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
    request_body(content = BroadcastBody, content_type = "application/json"),
    responses(
        (status = 202, description = "The broadcast is on disk.", body = AcceptedView,
            headers(("Location" = String, description = "Where the broadcast is."),
                ("Idempotency-Replayed" = String, description = "`true` when this answer was given before."))),
        (status = 422, description = "What is wrong with it, or who of the users has not registered.", body = ProblemView,
            content_type = PROBLEM_JSON),
        Denied, Unread, NotJson, Failed,
    )
)]
pub(super) async fn publish(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
) -> Result<Response<Body>, Response<Body>> {
    let (head, content) = request.into_parts();
    let caller = auth::caller(&gateway, &head.headers, Scope::Send).map_err(IntoResponse::into_response)?;
    let object = body::json_object(&gateway, &head.headers, content)
        .await
        .map_err(IntoResponse::into_response)?;
    let mut wanted = read(&gateway, &object).map_err(|violations| invalid(&violations).into_response())?;
    caller.clone_into(&mut wanted.caller);
    let written = || Value::Object(object).to_string();
    wanted.key = refusal::request_key(&head.headers, "broadcasts", caller, written)
        .map_err(|sentence| problem::bad_key(sentence).into_response())?;
    match broadcast::publish(&gateway, wanted).await {
        Ok(published) => Ok(accepted(&published)),
        Err(refused) => Err(refusal_problem(&refused).into_response()),
    }
}

fn accepted(published: &Published) -> Response<Body> {
    let view = AcceptedView {
        id: published.id.to_string(),
        status: "accepted",
    };
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/broadcasts/{}", published.id)) {
        headers.insert(LOCATION, location);
    }
    refusal::mark_replayed(headers, published.replayed);
    response
}

/// The broadcast the object asks for, without its key, or everything that is wrong with it.
fn read(gateway: &Gateway, object: &Map<String, Value>) -> Result<broadcast::Request, Vec<Violation>> {
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
    let audience = match audience(object) {
        Ok(audience) => Some(audience),
        Err(wrong) => {
            violations.push(wrong);
            None
        }
    };
    match (body, audience) {
        (Some(body), Some(audience)) if violations.is_empty() => Ok(broadcast::Request {
            body,
            channel: channel.unwrap_or_else(|| refusal::default_channel(gateway).to_owned()),
            audience,
            caller: String::new(),
            key: None,
        }),
        _ => Err(violations),
    }
}

fn audience(object: &Map<String, Value>) -> Result<Audience, Violation> {
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
        None if all => Ok(Audience::All),
        None => Err(Violation::new(
            "users",
            "is missing: name users by their ids, or say \"all\": true",
        )),
        Some(Value::Array(users)) => {
            let ids = users.iter().map(|user| user.as_str().map(str::to_owned));
            let ids = ids.collect::<Option<Vec<_>>>();
            ids.map(Audience::Listed)
                .ok_or_else(|| Violation::new("users", "must be a list of texts"))
        }
        Some(_) => Err(Violation::new("users", "must be a list of texts")),
    }
}

fn refusal_problem(refused: &Unpublished) -> Problem {
    let violation = match refused {
        Unpublished::Refused(refused) => {
            let field = match refused {
                Refused::EmptyBody | Refused::UnsendableBody | Refused::LongBody(_) => "body",
                Refused::UnknownChannel(_) => "channel",
                _ => return problem::of_refusal(refused),
            };
            Violation::new(field, refusal::sentence(refused))
        }
        Unpublished::Nobody => Violation::new("users", "must name at least one user"),
        Unpublished::TooMany(most) => {
            Violation::new("users", format!("must not name more than {most} users"))
        }
        Unpublished::Unknown { first, count } => {
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
    invalid(&[violation])
}

/// Shows a broadcast with its counts.
#[utoipa::path(
    get,
    path = "/v1/broadcasts/{id}",
    operation_id = "show_broadcast",
    tag = "native",
    params(("id" = String, Path, format = "uuid", description = "The broadcast's id.")),
    responses((status = 200, description = "The broadcast, counted now.", body = BroadcastView), Denied, Missing, Failed)
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Segment(id): Segment,
    headers: HeaderMap,
) -> Result<Json<BroadcastView>, Response<Body>> {
    auth::caller(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    shown(&gateway, &id).await.map_err(IntoResponse::into_response)
}

async fn shown(gateway: &Gateway, id: &str) -> Answer<BroadcastView> {
    let missing = || Problem::missing(format!("there is no broadcast with the id {id}"));
    let known = id.parse().map_err(|_| missing())?;
    let found = gateway.store.broadcast(known).await;
    let found = found.map_err(|error| Problem::failed(gateway, "read the broadcast", &error))?;
    let (broadcast, tally) = found.ok_or_else(missing)?;
    Ok(Json(BroadcastView::new(broadcast, &tally)))
}
