//! The `sendsms` API of Kannel's smsbox: `/cgi-bin/sendsms` by GET, HEAD and POST.
//!
//! Answers, parameters and their order of checks are those of Kannel 1.4.5. Messages are never cut at 160 characters.

mod answers;
mod parameters;
mod post;
mod xml;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, request};
use axum::routing::{any, get};
use chrono::TimeDelta;

use super::account::{self, CompatCaller};
use super::query::LenientFields;
use crate::auth::AuthError;
use crate::body::{self, BodyError};
use answers::Answer;
use parameters::Parameters;
pub(super) use parameters::{PASSWORD, USERNAME};
use postrider_core::callback::CallbackFormat;
use postrider_core::priority::Priority;
use postrider_engine::accept::{self, AcceptRequest, Accepted, MissingAddressPolicy};
use postrider_engine::config::Scope;
use postrider_engine::events;
use postrider_engine::gateway::Gateway;
use postrider_engine::request_load::BodySender;

/// Response header with the id of the message, which Kannel does not have.
const MESSAGE_ID: HeaderName = HeaderName::from_static("x-postrider-message-id");

/// Kannel's priorities from which a message is urgent; they end at 3.
const URGENT_PRIORITY_MIN: i64 = 2;

/// Returns the routes of the API.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/cgi-bin/sendsms", get(sendsms).post(sendsms))
        .route("/cgi-bin/{*rest}", any(unknown_path))
        .method_not_allowed_fallback(unknown_path)
}

/// Why a message is not accepted.
enum Refusal {
    Answer(Answer),
    Unauthorized(AuthError),
    Body(BodyError),
}

impl From<Answer> for Refusal {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

async fn unknown_path() -> Response<Body> {
    Answer::UNKNOWN_PATH.response()
}

async fn sendsms(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    match accept_message(&gateway, request).await {
        Ok((answer, accepted)) => {
            let mut response = answer.response();
            if let Ok(id) = HeaderValue::try_from(accepted.id.to_string()) {
                response.headers_mut().insert(MESSAGE_ID, id);
            }
            response
        }
        Err(Refusal::Answer(answer)) => answer.response(),
        Err(Refusal::Unauthorized(error)) => {
            let mut response = Answer::UNAUTHORIZED.response();
            response.extensions_mut().insert(error.denial());
            response
        }
        Err(Refusal::Body(error)) => {
            let mut response = Answer { status: error.status(), ..Answer::BODY_MISFORMED }.response();
            if error.status() == StatusCode::SERVICE_UNAVAILABLE {
                response = Answer::TRY_LATER.response();
            }
            error.with_retry_after(response)
        }
    }
}

async fn accept_message(gateway: &Gateway, request: Request<Body>) -> Result<(Answer, Accepted), Refusal> {
    let (head, content) = request.into_parts();
    let fields = read_fields(gateway, &head, content).await?;
    let text = |names: &[&str]| fields.text(names).unwrap_or_default();
    let (user, password) = (text(&USERNAME), text(&PASSWORD));
    let caller = account::authorize(gateway, &head.extensions, &user, &password, Scope::Send)
        .map_err(Refusal::Unauthorized)?;
    let parameters = parameters::check(&fields)?;
    let request = accept_request(gateway, &caller, parameters)?;
    let channel = request.addresses.first().map(|(channel, _)| channel.clone()).unwrap_or_default();
    // The message is on disk when this returns.
    let accepted = accept::accept(gateway, request).await;
    let accepted = accepted.map_err(|error| Answer::from_accept_error(&error))?;
    let now = gateway.clock.now();
    let has_route = gateway
        .route(&channel)
        .is_some_and(|route| route.providers().iter().any(|provider| provider.is_available(now)));
    Ok((if has_route { Answer::ACCEPTED } else { Answer::QUEUED }, accepted))
}

/// Returns the parameters: of the query, or of the headers and the body of a POST.
async fn read_fields(
    gateway: &Gateway,
    head: &request::Parts,
    content: Body,
) -> Result<LenientFields, Refusal> {
    let query = head.uri.query().unwrap_or_default().as_bytes();
    if head.method != Method::POST {
        return Ok(LenientFields::parse(query));
    }
    let read = body::read(gateway, &head.headers, content, body_sender(gateway, head)).await;
    let body = read.map_err(Refusal::Body)?;
    Ok(post::parameters(&head.headers, &body::content_type(&head.headers), query, &body)?)
}

/// Returns whether the headers authenticate the sender. Credentials in the body are known only when it was read.
fn body_sender(gateway: &Gateway, head: &request::Parts) -> BodySender {
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let (user, password) = (header("x-kannel-username"), header("x-kannel-password"));
    let [user, password] = [user, password].map(Option::unwrap_or_default);
    match account::authorize(gateway, &head.extensions, user, password, Scope::Send) {
        Ok(_) => BodySender::Authenticated,
        Err(_) => BodySender::Unauthenticated,
    }
}

fn accept_request(
    gateway: &Gateway,
    caller: &CompatCaller,
    parameters: Parameters,
) -> Result<AcceptRequest, Answer> {
    let now = gateway.clock.now();
    let after = |minutes: i64| now.checked_add_signed(TimeDelta::minutes(minutes));
    let channel = caller.channel(gateway, parameters.smsc.as_deref());
    let has_several_receivers = parameters.receivers.len() > 1;
    let mut has_added_plus = false;
    let mut addresses = Vec::with_capacity(parameters.receivers.len());
    for receiver in &parameters.receivers {
        let number = account::international_number(gateway, receiver).into_owned();
        has_added_plus |= number != *receiver;
        addresses.push((channel.clone(), number));
    }
    let mut request = AcceptRequest {
        addresses,
        // Kannel sends an empty message; providers refuse one, so a blank is sent.
        body: if parameters.text.is_empty() { " ".to_owned() } else { parameters.text },
        sender: parameters.from,
        priority: parameters
            .priority
            .filter(|priority| *priority >= URGENT_PRIORITY_MIN)
            .map(|_| Priority::High),
        send_at: parameters.deferred_minutes.filter(|minutes| *minutes > 0).and_then(after),
        expires_at: parameters.validity_minutes.and_then(after),
        api_key_name: caller.api_key_name.clone(),
        on_missing_address: if has_several_receivers {
            MissingAddressPolicy::FailDelivery
        } else {
            MissingAddressPolicy::RejectMessage
        },
        ..AcceptRequest::default()
    };
    if let Some((url, mask)) = parameters.report {
        let format = CallbackFormat::Kannel { mask };
        let url = events::validate_callback(gateway, format, &url).map_err(|_| Answer::DLR_URL_MISFORMED)?;
        request.callback_url = Some(url);
        request.callback_format = format;
        request.callback_fields = parameters.report_fields;
        if has_added_plus {
            request.callback_fields.push((events::ADDED_PLUS.to_owned(), "1".to_owned()));
        }
    }
    Ok(request)
}
