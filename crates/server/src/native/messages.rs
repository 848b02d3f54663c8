//! `POST /v1/messages`, `GET /v1/messages/{id}`, `DELETE /v1/messages/{id}`.
//!
//! 201 means that the message is on disk. GET returns every attempt; DELETE cancels the waiting deliveries.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::extract::{JsonResult, PathParams, accepted_response};
use super::message_view::MessageView;
use super::submission::{self, MessageSubmission};
use crate::auth::{self, Caller};
use crate::body::RepeatableRequest;
use crate::error_responses::{
    AcceptErrorResponses, AuthErrorResponses, BodyErrorResponses, NotFoundResponses, NotJsonResponses,
    StoreErrorResponses,
};
use crate::problem::{self, PROBLEM_JSON, Problem, ProblemView, StoreResult as _, Violation};
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::Message;
use postrider_core::name::ConfigName;
use postrider_engine::accept::{self, AcceptError, Accepted};
use postrider_engine::config::Scope;
use postrider_engine::events;
use postrider_engine::gateway::Gateway;
use postrider_store::Cancelled;

/// A message that was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedMessage)]
struct AcceptedMessageView {
    /// The message's id.
    #[schema(format = "uuid")]
    id: String,
    /// Always `accepted`.
    status: &'static str,
    /// Number of text parts of the body.
    parts: u32,
    /// One for each channel.
    deliveries: Vec<AcceptedDeliveryView>,
}

/// A delivery of a message that was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedDelivery)]
struct AcceptedDeliveryView {
    /// Id of the delivery.
    id: i64,
    /// The channel.
    channel: String,
}

/// Result of a cancellation.
#[derive(Serialize, ToSchema)]
#[schema(as = CancelledMessage)]
pub(super) struct CancelledMessageView {
    /// The message's id, as in the path.
    id: String,
    /// Number of cancelled deliveries.
    cancelled: usize,
}

/// Accepts a message.
///
/// 201 means that the message is on disk. A repeated request with the same `Idempotency-Key` gets the same response,
/// with the header `Idempotency-Replayed`, and sends nothing.
#[utoipa::path(
    post,
    path = "/v1/messages",
    operation_id = "submit_message",
    tag = "native",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's id of this request.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body(content = MessageSubmission, content_type = "application/json"),
    responses(
        (status = 201, description = "The message is on disk.", body = AcceptedMessageView,
            headers(("Location" = String, description = "URL of the message."),
                ("Idempotency-Replayed" = String, description = "`true` if this is the response to an earlier request."))),
        AuthErrorResponses, BodyErrorResponses, NotJsonResponses, AcceptErrorResponses, StoreErrorResponses,
    )
)]
pub(super) async fn submit(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let request = RepeatableRequest::read(&gateway, request).await?;
    let (mut accept_request, mut violations) = submission::parse_submission(&gateway, &request.object);
    if accept_request.callback_url.is_some() && !events::can_sign(&gateway, &request.api_key_name) {
        let detail = "cannot be used: no secrets for signing are configured under [events]";
        violations.push(Violation::new("callback_url", detail));
    }
    if !violations.is_empty() {
        submission::add_recipient_violations(&gateway, &accept_request, &request.object, &mut violations);
        return Err(violations.into());
    }
    request.api_key_name.clone_into(&mut accept_request.api_key_name);
    accept_request.idempotency_key = request.idempotency_key("native")?;
    match accept::accept(&gateway, accept_request).await {
        Ok(accepted) => Ok(created_response(&accepted)),
        Err(error) => Err(accept_error_problem(&gateway, &error, &request.object)),
    }
}

/// Returns a message with its deliveries and their attempts.
#[utoipa::path(
    get,
    path = "/v1/messages/{id}",
    operation_id = "show_message",
    tag = "native",
    params(("id" = String, Path, format = "uuid", description = "The message's id.")),
    responses((status = 200, description = "The message with every attempt.", body = MessageView), AuthErrorResponses, NotFoundResponses, StoreErrorResponses)
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathParams(id): PathParams<String>,
    headers: HeaderMap,
) -> JsonResult<MessageView> {
    let caller = auth::authorize(&gateway, &headers, Scope::Read)?;
    let message = find_message(&gateway, &caller, &id).await?;
    Ok(Json(MessageView::full(message, gateway.clock.now())))
}

/// Cancels the deliveries of a message that still wait.
#[utoipa::path(
    delete,
    path = "/v1/messages/{id}",
    operation_id = "cancel_message",
    tag = "native",
    params(("id" = String, Path, format = "uuid", description = "The message's id.")),
    responses(
        (status = 200, description = "The waiting deliveries are cancelled.", body = CancelledMessageView),
        (status = 409, description = "No delivery waits any more, or a worker holds its lease.", body = ProblemView,
            content_type = PROBLEM_JSON),
        AuthErrorResponses, NotFoundResponses, StoreErrorResponses,
    )
)]
pub(super) async fn cancel(
    State(gateway): State<Arc<Gateway>>,
    PathParams(id): PathParams<String>,
    headers: HeaderMap,
) -> JsonResult<CancelledMessageView> {
    let caller = auth::authorize(&gateway, &headers, Scope::Send)?;
    let message = find_message(&gateway, &caller, &id).await?;
    let cancelled = gateway.store.cancel_message(message.id, gateway.clock.now()).await;
    match cancelled.or_problem(&gateway, "cancel the message")? {
        Cancelled::Done(channels) => {
            for channel in &channels {
                gateway.count_state_change(channel, DeliveryStateKind::Failed);
            }
            let cancelled = channels.len();
            Ok(Json(CancelledMessageView { id, cancelled }))
        }
        Cancelled::NotFound => Err(message_not_found(&id)),
        Cancelled::TooLate => Err(Problem::new(
            StatusCode::CONFLICT,
            "not-cancellable",
            "The message cannot be cancelled any more",
            "no delivery waits any more, or a worker holds its lease",
        )),
    }
}

/// Returns a message that the caller may access. For a message of another owner, the response is the same as for a
/// message that does not exist.
async fn find_message(gateway: &Gateway, caller: &Caller, id: &str) -> Result<Message, Problem> {
    let message_id = id.parse::<MessageId>().map_err(|_| message_not_found(id))?;
    let message = gateway.store.find_message(message_id).await.or_problem(gateway, "read the message")?;
    message.filter(|message| caller.can_access(&message.owner)).ok_or_else(|| message_not_found(id))
}

fn message_not_found(id: &str) -> Problem {
    Problem::not_found(format!("there is no message with the id {id}"))
}

fn created_response(accepted: &Accepted) -> Response<Body> {
    let delivery = |(position, channel): (usize, &ConfigName)| AcceptedDeliveryView {
        id: DeliveryId::from_position(accepted.number, position).0,
        channel: channel.to_string(),
    };
    let accepted_view = AcceptedMessageView {
        id: accepted.id.to_string(),
        status: "accepted",
        parts: accepted.parts,
        deliveries: accepted.channels.iter().enumerate().map(delivery).collect(),
    };
    let location = format!("/v1/messages/{}", accepted.id);
    accepted_response(StatusCode::CREATED, &location, accepted_view, accepted.is_replay)
}

fn accept_error_problem(gateway: &Gateway, error: &AcceptError, object: &Map<String, Value>) -> Problem {
    if submission::is_recipient_error(error) {
        let (request, mut violations) = submission::parse_submission(gateway, object);
        submission::add_recipient_violations(gateway, &request, object, &mut violations);
        if !violations.is_empty() {
            return violations.into();
        }
    }
    match submission::violation(error, object) {
        Some(violation) => violation.into(),
        None => problem::accept_error(error),
    }
}
