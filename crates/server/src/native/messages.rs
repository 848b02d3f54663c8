//! `POST /v1/messages`, `GET /v1/messages/{id}`, `DELETE /v1/messages/{id}`.
//!
//! 201 means that the message is on disk. Reading shows every attempt; deleting calls off what still waits.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::message_view::MessageView;
use super::{JsonResult, PathSegment, invalid_fields, submission};
use crate::openapi::{
    AcceptErrorResponses as NotTaken, AuthErrorResponses, BodyErrorResponses, MessageSubmission,
    NotFoundResponses, NotJsonResponses, ProblemView, StoreErrorResponses,
};
use crate::problem::{self, PROBLEM_JSON, Problem, Violation};
use crate::{auth, body, errors};
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::name::ConfigName;
use postrider_engine::accept::{self, AcceptError, Accepted};
use postrider_engine::config::Scope;
use postrider_engine::events;
use postrider_engine::gateway::Gateway;
use postrider_store::Cancelled;

/// A message that is on disk.
#[derive(Serialize, ToSchema)]
#[schema(as = Accepted)]
struct AcceptedMessageView {
    /// The message's id.
    #[schema(format = "uuid")]
    id: String,
    /// Always `accepted`.
    status: &'static str,
    /// How many text parts the body has.
    parts: u32,
    /// One for each channel it goes over.
    deliveries: Vec<AcceptedDeliveryView>,
}

/// A delivery that is on its way.
#[derive(Serialize, ToSchema)]
#[schema(as = Place)]
struct AcceptedDeliveryView {
    /// The delivery's number.
    id: i64,
    /// Over which channel.
    channel: String,
}

/// What a cancellation came to.
#[derive(Serialize, ToSchema)]
#[schema(as = Cancelled)]
pub(super) struct CancelledMessageView {
    /// The message's id, as it was written.
    id: String,
    /// How many deliveries were called off.
    cancelled: usize,
}

/// Takes a message in.
///
/// 201 means that the message is on disk. The same `Idempotency-Key` with the same request is answered the same, with
/// the header `Idempotency-Replayed`, and sends nothing twice.
#[utoipa::path(
    post,
    path = "/v1/messages",
    operation_id = "submit_message",
    tag = "native",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's name for this request.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body(content = MessageSubmission, content_type = "application/json"),
    responses(
        (status = 201, description = "The message is on disk.", body = AcceptedMessageView,
            headers(("Location" = String, description = "Where the message is."),
                ("Idempotency-Replayed" = String, description = "`true` when this answer was given before."))),
        AuthErrorResponses, BodyErrorResponses, NotJsonResponses, NotTaken, StoreErrorResponses,
    )
)]
pub(super) async fn submit(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
) -> Result<Response<Body>, Response<Body>> {
    let (head, content) = request.into_parts();
    let caller =
        auth::authorize(&gateway, &head.headers, Scope::Send).map_err(IntoResponse::into_response)?;
    let object = body::json_object(&gateway, &head.headers, content)
        .await
        .map_err(IntoResponse::into_response)?;
    let mut wanted = submission::parse_submission(&gateway, &object)
        .map_err(|violations| invalid_fields(&violations).into_response())?;
    let written = || Value::Object(object).to_string();
    caller.clone_into(&mut wanted.api_key_name);
    if wanted.callback_url.is_some() && !events::can_sign(&gateway, caller) {
        let wrong = "cannot be used here: the gateway has no secrets under [events] to sign calls with";
        return Err(invalid_fields(&[Violation::new("callback_url", wrong)]).into_response());
    }
    wanted.idempotency_key = errors::read_idempotency_key(&head.headers, "native", caller, written)
        .map_err(|sentence| problem::invalid_idempotency_key(sentence).into_response())?;
    match accept::accept(&gateway, wanted).await {
        Ok(accepted) => Ok(created_response(&accepted)),
        Err(refused) => Err(accept_error_problem(&refused).into_response()),
    }
}

/// Shows a message with all that happened to it.
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
    PathSegment(id): PathSegment,
    headers: HeaderMap,
) -> Result<Json<MessageView>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    find_message(&gateway, &id)
        .await
        .map_err(IntoResponse::into_response)
}

async fn find_message(gateway: &Gateway, id: &str) -> JsonResult<MessageView> {
    let found = gateway
        .store
        .find_message(parse_message_id(id)?)
        .await
        .map_err(|error| Problem::from_error(gateway, "read the message", &error))?;
    let message = found.ok_or_else(|| message_not_found(id))?;
    Ok(Json(MessageView::full(message, gateway.clock.now())))
}

/// Calls off what still waits of a message.
#[utoipa::path(
    delete,
    path = "/v1/messages/{id}",
    operation_id = "cancel_message",
    tag = "native",
    params(("id" = String, Path, format = "uuid", description = "The message's id.")),
    responses(
        (status = 200, description = "What still waited is called off.", body = CancelledMessageView),
        (status = 409, description = "Nothing of it waits any more, or a worker has it in hand.", body = ProblemView,
            content_type = PROBLEM_JSON),
        AuthErrorResponses, NotFoundResponses, StoreErrorResponses,
    )
)]
pub(super) async fn cancel(
    State(gateway): State<Arc<Gateway>>,
    PathSegment(id): PathSegment,
    headers: HeaderMap,
) -> Result<Json<CancelledMessageView>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Send).map_err(IntoResponse::into_response)?;
    cancel_message(&gateway, id)
        .await
        .map_err(IntoResponse::into_response)
}

async fn cancel_message(gateway: &Gateway, id: String) -> JsonResult<CancelledMessageView> {
    let cancelled = gateway
        .store
        .cancel_message(parse_message_id(&id)?, gateway.clock.now())
        .await
        .map_err(|error| Problem::from_error(gateway, "call the message off", &error))?;
    match cancelled {
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
            "too-late",
            "It is too late to call this message off",
            "nothing of it waits any more, or a worker has it in hand",
        )),
    }
}

fn parse_message_id(id: &str) -> Result<MessageId, Problem> {
    id.parse().map_err(|_| message_not_found(id))
}

fn message_not_found(id: &str) -> Problem {
    Problem::not_found(format!("there is no message with the id {id}"))
}

fn created_response(accepted: &Accepted) -> Response<Body> {
    let place = |(place, channel): (usize, &ConfigName)| AcceptedDeliveryView {
        id: DeliveryId::from_position(accepted.number, place).0,
        channel: channel.to_string(),
    };
    let view = AcceptedMessageView {
        id: accepted.id.to_string(),
        status: "accepted",
        parts: accepted.parts,
        deliveries: accepted.channels.iter().enumerate().map(place).collect(),
    };
    let mut response = (StatusCode::CREATED, Json(view)).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/messages/{}", accepted.id)) {
        headers.insert(LOCATION, location);
    }
    errors::mark_replayed(headers, accepted.is_replay);
    response
}

fn accept_error_problem(refused: &AcceptError) -> Problem {
    let field = match refused {
        AcceptError::EmptyBody | AcceptError::InvalidBody | AcceptError::BodyTooLong(_) => "body".to_owned(),
        AcceptError::NoRecipient | AcceptError::NoUsableContact { .. } => "to".to_owned(),
        AcceptError::InvalidContact { kind, .. } => format!("to.{}", kind.as_str()),
        AcceptError::InvalidSubject(_) => "subject".to_owned(),
        AcceptError::UnknownChannel(_) => "channels".to_owned(),
        AcceptError::InvalidAddress { channel, .. } => format!("to.{channel}"),
        AcceptError::ExpiresTooEarly => "expires_at".to_owned(),
        AcceptError::Suppressed
        | AcceptError::Throttled { .. }
        | AcceptError::IdempotencyKeyReused
        | AcceptError::Store(_) => {
            return problem::accept_error(refused);
        }
    };
    invalid_fields(&[Violation::new(field, errors::accept_error_message(refused))])
}
