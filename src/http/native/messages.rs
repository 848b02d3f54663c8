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

use super::wire::MessageView;
use super::{Answer, Segment, invalid, submission};
use crate::config::Scope;
use crate::domain::channel::Name;
use crate::domain::delivery::Standing;
use crate::domain::id::{DeliveryId, MessageId};
use crate::flow::accept::{self, Accepted, Refused};
use crate::flow::events;
use crate::gateway::Gateway;
use crate::http::describe::{
    Denied, Failed, Missing, NotJson, ProblemView, Refused as NotTaken, Submission, Unread,
};
use crate::http::problem::{self, PROBLEM_JSON, Problem, Violation};
use crate::http::{auth, body, refusal};
use crate::store::Cancelled;

/// A message that is on disk.
#[derive(Serialize, ToSchema)]
#[schema(as = Accepted)]
struct AcceptedView {
    /// The message's id.
    #[schema(format = "uuid")]
    id: String,
    /// Always `accepted`.
    status: &'static str,
    /// How many text parts the body has.
    parts: u32,
    /// One for each channel it goes over.
    deliveries: Vec<PlaceView>,
}

/// A delivery that is on its way.
#[derive(Serialize, ToSchema)]
#[schema(as = Place)]
struct PlaceView {
    /// The delivery's number.
    id: i64,
    /// Over which channel.
    channel: String,
}

/// What a cancellation came to.
#[derive(Serialize, ToSchema)]
#[schema(as = Cancelled)]
pub(super) struct CancelledView {
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
    request_body(content = Submission, content_type = "application/json"),
    responses(
        (status = 201, description = "The message is on disk.", body = AcceptedView,
            headers(("Location" = String, description = "Where the message is."),
                ("Idempotency-Replayed" = String, description = "`true` when this answer was given before."))),
        Denied, Unread, NotJson, NotTaken, Failed,
    )
)]
pub(super) async fn submit(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
) -> Result<Response<Body>, Response<Body>> {
    let (head, content) = request.into_parts();
    let caller = auth::caller(&gateway, &head.headers, Scope::Send).map_err(IntoResponse::into_response)?;
    let object = body::json_object(&gateway, &head.headers, content)
        .await
        .map_err(IntoResponse::into_response)?;
    let mut wanted =
        submission::read(&gateway, &object).map_err(|violations| invalid(&violations).into_response())?;
    let written = || Value::Object(object).to_string();
    caller.clone_into(&mut wanted.caller);
    if wanted.callback.is_some() && !events::can_sign(&gateway, caller) {
        let wrong = "cannot be used here: the gateway has no secrets under [events] to sign calls with";
        return Err(invalid(&[Violation::new("callback_url", wrong)]).into_response());
    }
    wanted.key = refusal::request_key(&head.headers, "native", caller, written)
        .map_err(|sentence| problem::bad_key(sentence).into_response())?;
    match accept::accept(&gateway, wanted).await {
        Ok(accepted) => Ok(created(&accepted)),
        Err(refused) => Err(refusal_problem(&refused).into_response()),
    }
}

/// Shows a message with all that happened to it.
#[utoipa::path(
    get,
    path = "/v1/messages/{id}",
    operation_id = "show_message",
    tag = "native",
    params(("id" = String, Path, format = "uuid", description = "The message's id.")),
    responses((status = 200, description = "The message with every attempt.", body = MessageView), Denied, Missing, Failed)
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Segment(id): Segment,
    headers: HeaderMap,
) -> Result<Json<MessageView>, Response<Body>> {
    auth::caller(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    find(&gateway, &id).await.map_err(IntoResponse::into_response)
}

async fn find(gateway: &Gateway, id: &str) -> Answer<MessageView> {
    let found = gateway
        .store
        .find(message_id(id)?)
        .await
        .map_err(|error| Problem::failed(gateway, "read the message", &error))?;
    let message = found.ok_or_else(|| no_message(id))?;
    Ok(Json(MessageView::whole(message, gateway.clock.now())))
}

/// Calls off what still waits of a message.
#[utoipa::path(
    delete,
    path = "/v1/messages/{id}",
    operation_id = "cancel_message",
    tag = "native",
    params(("id" = String, Path, format = "uuid", description = "The message's id.")),
    responses(
        (status = 200, description = "What still waited is called off.", body = CancelledView),
        (status = 409, description = "Nothing of it waits any more, or a worker has it in hand.", body = ProblemView,
            content_type = PROBLEM_JSON),
        Denied, Missing, Failed,
    )
)]
pub(super) async fn cancel(
    State(gateway): State<Arc<Gateway>>,
    Segment(id): Segment,
    headers: HeaderMap,
) -> Result<Json<CancelledView>, Response<Body>> {
    auth::caller(&gateway, &headers, Scope::Send).map_err(IntoResponse::into_response)?;
    call_off(&gateway, id).await.map_err(IntoResponse::into_response)
}

async fn call_off(gateway: &Gateway, id: String) -> Answer<CancelledView> {
    let cancelled = gateway
        .store
        .cancel(message_id(&id)?, gateway.clock.now())
        .await
        .map_err(|error| Problem::failed(gateway, "call the message off", &error))?;
    match cancelled {
        Cancelled::Done(channels) => {
            for channel in &channels {
                gateway.moved(channel, Standing::Failed);
            }
            let cancelled = channels.len();
            Ok(Json(CancelledView { id, cancelled }))
        }
        Cancelled::Missing => Err(no_message(&id)),
        Cancelled::TooLate => Err(Problem::new(
            StatusCode::CONFLICT,
            "too-late",
            "It is too late to call this message off",
            "nothing of it waits any more, or a worker has it in hand",
        )),
    }
}

fn message_id(id: &str) -> Result<MessageId, Problem> {
    id.parse().map_err(|_| no_message(id))
}

fn no_message(id: &str) -> Problem {
    Problem::missing(format!("there is no message with the id {id}"))
}

fn created(accepted: &Accepted) -> Response<Body> {
    let place = |(place, channel): (usize, &Name)| PlaceView {
        id: DeliveryId::of(accepted.number, place).0,
        channel: channel.to_string(),
    };
    let view = AcceptedView {
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
    refusal::mark_replayed(headers, accepted.replayed);
    response
}

fn refusal_problem(refused: &Refused) -> Problem {
    let field = match refused {
        Refused::EmptyBody | Refused::UnsendableBody | Refused::LongBody(_) => "body".to_owned(),
        Refused::NoRecipient | Refused::NoAddress { .. } => "to".to_owned(),
        Refused::BadContact { kind, .. } => format!("to.{}", kind.word()),
        Refused::BadSubject(_) => "subject".to_owned(),
        Refused::UnknownChannel(_) => "channels".to_owned(),
        Refused::BadAddress { channel, .. } => format!("to.{channel}"),
        Refused::ExpiresTooEarly => "expires_at".to_owned(),
        Refused::Suppressed | Refused::Throttled { .. } | Refused::KeyReused | Refused::Store(_) => {
            return problem::of_refusal(refused);
        }
    };
    invalid(&[Violation::new(field, refusal::sentence(refused))])
}
