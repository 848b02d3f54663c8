//! The simple API: `GET /sms/send?number=&body=`, and the same fields as a form by POST.
//!
//! Its envelope is `{"Data":[…],"Message":…}`. Clients rely on three error texts, checked in this order: number empty,
//! body empty, number not valid.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use axum::{Json, Router};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::error_responses::{error_responses, retry_after_header};
use super::errors::{STORE_RETRY_AFTER_SECONDS, store_status};
use super::{auth, body, errors, form};
use postrider_engine::accept::{self, AcceptError, Accepted};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::request_load::BodySender;

/// OpenAPI description of the simple API.
#[derive(OpenApi)]
#[openapi(paths(send_by_query, send_by_form))]
pub(super) struct SimpleApiDoc;

/// Returns the routes of the simple API, with and without a trailing slash.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/sms/send", get(send_by_query).post(send_by_form))
        .route("/sms/send/", get(send_by_query).post(send_by_form))
        .route("/sms/{*rest}", any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
}

/// A message, as the simple API accepts it in a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct SimpleMessage {
    /// The phone number, in any spelling.
    #[schema(min_length = 1)]
    number: String,
    /// The message text.
    #[schema(min_length = 1)]
    body: String,
}

/// Accepts one message.
#[utoipa::path(
    get,
    path = "/sms/send",
    operation_id = "send_by_query",
    tag = "simple",
    params(
        ("number" = String, Query, description = "The phone number, in any spelling.", min_length = 1),
        ("body" = String, Query, description = "The message text.", min_length = 1),
        ("Idempotency-Key" = Option<String>, Header, description = "The client's id of this request.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
    ),
    responses(
        (status = 200, description = "The message is on disk.", body = SimpleAccepted),
        (status = 400, description = "A field is missing or wrong, or the number is inactive.", body = SimpleError),
        SimpleErrorResponses,
    )
)]
async fn send_by_query(gateway: State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    send(gateway, request).await
}

/// Accepts one message as a form. With an empty body the query is used.
#[utoipa::path(
    post,
    path = "/sms/send",
    operation_id = "send_by_form",
    tag = "simple",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's id of this request.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body(content = SimpleMessage, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The message is on disk.", body = SimpleAccepted),
        (status = 400, description = "A field is missing or wrong, or the number is inactive.", body = SimpleError),
        (status = 408, description = "The body did not arrive in time.", body = SimpleError),
        (status = 413, description = "The body is too long.", body = SimpleError),
        (status = 415, description = "The body is not a form.", body = SimpleError),
        SimpleErrorResponses,
    )
)]
async fn send_by_form(gateway: State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    send(gateway, request).await
}

async fn send(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    if request.method() == Method::HEAD {
        return method_not_allowed().await;
    }
    match accept_message(&gateway, request).await {
        Ok(accepted) => accepted_response(&accepted),
        Err(response) => *response,
    }
}

async fn accept_message(gateway: &Gateway, request: Request<Body>) -> Result<Accepted, Box<Response<Body>>> {
    let (head, content) = request.into_parts();
    let caller = auth::authorize(gateway, &head.headers, Scope::Send)
        .map_err(|error| Box::new(error.challenge(error_response(error.status(), &error.message()))))?;
    let simple_form = match head.method {
        Method::POST => read_form(gateway, &head.headers, content).await?,
        _ => Bytes::new(),
    };
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let encoded_fields = if simple_form.is_empty() { query } else { &simple_form };
    let phone_number =
        form::phone_number(encoded_fields, "number").map_err(|error| malformed_field("number", error))?;
    let message_text = form::field(encoded_fields, "body").map_err(|error| malformed_field("body", error))?;
    if phone_number.trim().is_empty() {
        return Err(bad_request("wrong number"));
    }
    if message_text.is_empty() {
        return Err(bad_request("there must be a body"));
    }
    let idempotency_key = errors::read_idempotency_key(&head.headers, "simple", &caller.api_key_name, || {
        format!("{phone_number}\0{message_text}")
    })
    .map_err(bad_request)?;
    let request = accept::AcceptRequest {
        addresses: vec![(errors::default_channel(gateway).to_owned(), phone_number.into_owned())],
        body: message_text.into_owned(),
        api_key_name: caller.api_key_name,
        idempotency_key,
        ..accept::AcceptRequest::default()
    };
    accept::accept(gateway, request).await.map_err(|error| Box::new(accept_error_response(&error)))
}

/// Reads the form, which may be empty.
async fn read_form(
    gateway: &Gateway,
    headers: &HeaderMap,
    content: Body,
) -> Result<Bytes, Box<Response<Body>>> {
    let simple_form =
        body::read(gateway, headers, content, BodySender::Authenticated).await.map_err(|error| {
            Box::new(error.with_retry_after(error_response(error.status(), &error.message())))
        })?;
    if simple_form.is_empty() || body::content_type(headers) == body::FORM_URLENCODED {
        return Ok(simple_form);
    }
    let message =
        format!("send the fields number and body as {}, or in the query of a GET", body::FORM_URLENCODED);
    Err(Box::new(error_response(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message)))
}

fn malformed_field(field: &str, error: form::FormDecodeError) -> Box<Response<Body>> {
    bad_request(&format!("{field}: {error}"))
}

fn bad_request(message: &str) -> Box<Response<Body>> {
    Box::new(error_response(StatusCode::BAD_REQUEST, message))
}

async fn not_found() -> Response<Body> {
    error_response(StatusCode::NOT_FOUND, "unknown path; send messages to /sms/send")
}

async fn method_not_allowed() -> Response<Body> {
    let mut response = error_response(StatusCode::METHOD_NOT_ALLOWED, "use GET or POST");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET,POST"));
    response
}

fn accepted_response(accepted: &Accepted) -> Response<Body> {
    let envelope = format!(
        r#"{{"Data":[{{"id":"{}","status":"accepted","parts":{}}}],"Message":""}}"#,
        accepted.id, accepted.parts
    );
    let mut response = Response::new(Body::from(envelope));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    errors::mark_replayed(response.headers_mut(), accepted.is_replay);
    response
}

fn accept_error_response(error: &AcceptError) -> Response<Body> {
    let default_message = || Cow::from(errors::accept_error_message(error));
    let (status, message): (StatusCode, Cow<'static, str>) = match error {
        AcceptError::NoRecipient => (StatusCode::BAD_REQUEST, "wrong number".into()),
        AcceptError::InvalidAddress { .. }
        | AcceptError::InvalidContact { .. }
        | AcceptError::NoUsableContact { .. } => (StatusCode::BAD_REQUEST, "number should be 11".into()),
        AcceptError::Suppressed(_) => (StatusCode::BAD_REQUEST, "number is inactive".into()),
        AcceptError::Throttled { .. } | AcceptError::SpendingLimit { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, default_message())
        }
        AcceptError::IdempotencyKeyReused => (StatusCode::UNPROCESSABLE_ENTITY, default_message()),
        AcceptError::UnknownChannel(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "no channel for messages is configured".into())
        }
        AcceptError::Store(cause) => (store_status(cause), default_message()),
        AcceptError::EmptyBody
        | AcceptError::InvalidBody
        | AcceptError::BodyTooLong(_)
        | AcceptError::TooManyParts { .. }
        | AcceptError::PushTooLong { .. }
        | AcceptError::InvalidSubject(_)
        | AcceptError::InvalidSender
        | AcceptError::SenderNotAllowed
        | AcceptError::ExpiresTooEarly => (StatusCode::BAD_REQUEST, default_message()),
    };
    let mut response = error_response(status, &message);
    if let AcceptError::Throttled { retry_after } | AcceptError::SpendingLimit { retry_after } = error {
        response.headers_mut().insert(RETRY_AFTER, errors::retry_after(*retry_after));
    }
    response
}

/// Error envelope of the simple API.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SimpleError)]
struct SimpleError<'a> {
    /// Always empty.
    #[schema(value_type = Vec<String>, max_items = 0)]
    data: [(); 0],
    /// The error message.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1)]
    message: [&'a str; 1],
}

fn error_response(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = (status, Json(SimpleError { data: [], message: [message] })).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, STORE_RETRY_AFTER_SECONDS);
    }
    response
}

/// Success envelope of the simple API.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: the hot path writes it by hand")]
struct SimpleAccepted {
    /// The message.
    #[schema(rename = "Data", min_items = 1, max_items = 1)]
    data: Vec<SimpleAcceptedMessage>,
    /// Always empty.
    #[schema(rename = "Message", max_length = 0)]
    message: String,
}

/// A message that was accepted.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct SimpleAcceptedMessage {
    /// The message's id.
    #[schema(format = "uuid")]
    id: String,
    /// Always `accepted`.
    status: String,
    /// Number of text parts of the body.
    parts: u32,
}

error_responses! {
    /// Error responses of the simple API to GET and POST.
    SimpleErrorResponses("SimpleError", "application/json") {
        401 "The API key is missing or unknown.";
        403 "The API key lacks the scope `send`.";
        422 "The Idempotency-Key was used for a different request.";
        429 "The hourly message limit of the user or a spending limit of the API key is reached; nothing was stored."
            with retry_after_header();
        500 "Internal error; the log contains the cause.";
        503 "The message cannot be stored now; nothing was sent." with retry_after_header();
    }
}
