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

use super::wire::MessageView;
use super::{Answer, Segment, submission};
use crate::config::Scope;
use crate::domain::channel::Name;
use crate::domain::delivery::Standing;
use crate::domain::id::{DeliveryId, MessageId};
use crate::flow::accept::{self, Accepted, Refused};
use crate::flow::events;
use crate::gateway::Gateway;
use crate::http::problem::{self, Problem, Violation};
use crate::http::{auth, body, refusal};
use crate::store::Cancelled;

#[derive(Serialize)]
struct AcceptedView {
    id: String,
    status: &'static str,
    parts: u32,
    deliveries: Vec<PlaceView>,
}

#[derive(Serialize)]
struct PlaceView {
    id: i64,
    channel: String,
}

/// What a cancellation came to.
#[derive(Serialize)]
pub(super) struct CancelledView {
    id: String,
    cancelled: usize,
}

/// Takes a message in.
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

fn invalid(violations: &[Violation]) -> Problem {
    Problem::invalid(StatusCode::UNPROCESSABLE_ENTITY, violations)
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
