//! The simple face: `GET /sms/send?number=&body=`, and the same as a form by POST.
//!
//! Its envelope is `{"Data":[…],"Message":…}`. Three texts are promised to clients, in this order: the number
//! is empty, the body is empty, the number is not valid.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use axum::routing::{any, get};
use serde::Serialize;
use utoipa::{IntoResponses, OpenApi, ToSchema};

use super::openapi::SimpleMessage;
use super::problem::{STORE_RETRY_AFTER_SECONDS, store_status};
use super::{auth, body, errors, form};
use postrider_engine::accept::{self, AcceptError, Accepted};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the face says of itself.
#[derive(OpenApi)]
#[openapi(paths(send_by_query, send_by_form))]
pub(super) struct SimpleApiDoc;

/// Where the face is, with and without the slash some clients write.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/sms/send", get(send_by_query).post(send_by_form))
        .route("/sms/send/", get(send_by_query).post(send_by_form))
        .route("/sms/{*rest}", any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
}

/// Takes one message in.
#[utoipa::path(
    get,
    path = "/sms/send",
    operation_id = "send_by_query",
    tag = "simple",
    params(
        ("number" = String, Query, description = "The phone number, in any spelling.", min_length = 1),
        ("body" = String, Query, description = "What to say.", min_length = 1),
        ("Idempotency-Key" = Option<String>, Header, description = "The client's name for this request.",
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

/// Takes one message in, as a form. One without content leaves the word to the query.
#[utoipa::path(
    post,
    path = "/sms/send",
    operation_id = "send_by_form",
    tag = "simple",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's name for this request.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body(content = SimpleMessage, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The message is on disk.", body = SimpleAccepted),
        (status = 400, description = "A field is missing or wrong, or the number is inactive.", body = SimpleError),
        (status = 408, description = "The body did not arrive in time.", body = SimpleError),
        (status = 413, description = "The body is longer than is taken.", body = SimpleError),
        (status = 415, description = "The body is no form.", body = SimpleError),
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
        .map_err(|denied| Box::new(denied.challenge(error_response(denied.status(), &denied.message()))))?;
    let content = if head.method == Method::POST {
        Some(read_form(gateway, &head.headers, content).await?)
    } else {
        None
    };
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let fields = content
        .as_deref()
        .filter(|form| !form.is_empty())
        .unwrap_or(query);
    let number =
        form::phone_number(fields, "number").map_err(|garbled| malformed_field("number", garbled))?;
    let text = form::field(fields, "body").map_err(|garbled| malformed_field("body", garbled))?;
    if number.trim().is_empty() {
        return Err(bad_request("wrong number"));
    }
    if text.is_empty() {
        return Err(bad_request("there must be a body"));
    }
    let key = errors::read_idempotency_key(&head.headers, "simple", caller, || format!("{number}\0{text}"))
        .map_err(bad_request)?;
    let request = accept::AcceptRequest {
        addresses: vec![(errors::default_channel(gateway).to_owned(), number.into_owned())],
        body: text.into_owned(),
        api_key_name: caller.to_owned(),
        idempotency_key: key,
        ..accept::AcceptRequest::default()
    };
    accept::accept(gateway, request)
        .await
        .map_err(|refused| Box::new(accept_error_response(&refused)))
}

/// A form. One without content leaves the word to the query.
async fn read_form(
    gateway: &Gateway,
    headers: &HeaderMap,
    content: Body,
) -> Result<Bytes, Box<Response<Body>>> {
    let kind = body::content_type(headers);
    let content = body::read(headers, content, &gateway.config.limits)
        .await
        .map_err(|trouble| Box::new(error_response(trouble.status(), &trouble.message())))?;
    if content.is_empty() || kind == body::FORM_URLENCODED {
        return Ok(content);
    }
    let sentence = format!(
        "send the fields number and body as {}, or in the query of a GET",
        body::FORM_URLENCODED
    );
    Err(Box::new(error_response(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        &sentence,
    )))
}

fn malformed_field(field: &str, garbled: form::FormDecodeError) -> Box<Response<Body>> {
    bad_request(&format!("{field}: {garbled}"))
}

fn bad_request(sentence: &str) -> Box<Response<Body>> {
    Box::new(error_response(StatusCode::BAD_REQUEST, sentence))
}

async fn not_found() -> Response<Body> {
    error_response(
        StatusCode::NOT_FOUND,
        "there is nothing here; the way in is /sms/send",
    )
}

async fn method_not_allowed() -> Response<Body> {
    let mut response = error_response(StatusCode::METHOD_NOT_ALLOWED, "use GET or POST");
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET,POST"));
    response
}

fn accepted_response(accepted: &Accepted) -> Response<Body> {
    let envelope = format!(
        r#"{{"Data":[{{"id":"{}","status":"accepted","parts":{}}}],"Message":""}}"#,
        accepted.id, accepted.parts
    );
    let mut response = Response::new(Body::from(envelope));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    errors::mark_replayed(response.headers_mut(), accepted.is_replay);
    response
}

fn accept_error_response(refused: &AcceptError) -> Response<Body> {
    let (status, sentence): (StatusCode, Cow<'static, str>) = match refused {
        AcceptError::NoRecipient => (StatusCode::BAD_REQUEST, "wrong number".into()),
        AcceptError::InvalidAddress { .. }
        | AcceptError::InvalidContact { .. }
        | AcceptError::NoUsableContact { .. } => (StatusCode::BAD_REQUEST, "number should be 11".into()),
        AcceptError::Suppressed => (StatusCode::BAD_REQUEST, "number is inactive".into()),
        AcceptError::Throttled { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            errors::accept_error_message(refused).into(),
        ),
        AcceptError::IdempotencyKeyReused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            errors::accept_error_message(refused).into(),
        ),
        AcceptError::UnknownChannel(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "no channel for messages is configured".into(),
        ),
        AcceptError::Store(error) => (store_status(error), errors::accept_error_message(refused).into()),
        AcceptError::EmptyBody
        | AcceptError::InvalidBody
        | AcceptError::BodyTooLong(_)
        | AcceptError::InvalidSubject(_)
        | AcceptError::ExpiresTooEarly => (
            StatusCode::BAD_REQUEST,
            errors::accept_error_message(refused).into(),
        ),
    };
    let mut response = error_response(status, &sentence);
    if let AcceptError::Throttled { retry_after } = refused {
        let wait = errors::retry_after(*retry_after);
        response.headers_mut().insert(RETRY_AFTER, wait);
    }
    response
}

/// How the face says that it did not take a message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SimpleRefusal)]
struct SimpleError<'a> {
    /// Always empty.
    #[schema(value_type = Vec<String>, max_items = 0)]
    data: [(); 0],
    /// Why, in a sentence.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1)]
    message: [&'a str; 1],
}

fn error_response(status: StatusCode, sentence: &str) -> Response<Body> {
    let envelope = SimpleError {
        data: [],
        message: [sentence],
    };
    let mut response = Response::new(Body::from(serde_json::to_vec(&envelope).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(RETRY_AFTER, STORE_RETRY_AFTER_SECONDS);
    }
    response
}

/// How the face says that a message is on disk.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is used: the hot path writes it by hand")]
struct SimpleAccepted {
    /// The message.
    #[schema(rename = "Data", min_items = 1, max_items = 1)]
    data: Vec<SimpleAcceptedMessage>,
    /// Always empty.
    #[schema(rename = "Message", max_length = 0)]
    message: String,
}

/// A message that is on disk.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is used")]
struct SimpleAcceptedMessage {
    /// The message's id.
    #[schema(format = "uuid")]
    id: String,
    /// Always `accepted`.
    status: String,
    /// How many text parts the body has.
    parts: u32,
}

/// The ways in which the face fails whatever the method.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its form is used")]
enum SimpleErrorResponses {
    /// No API key came with the request, or nobody knows it.
    #[response(status = 401)]
    Unauthorized(#[to_schema] SimpleError<'static>),
    /// The API key does not open this door.
    #[response(status = 403)]
    Forbidden(#[to_schema] SimpleError<'static>),
    /// The Idempotency-Key was used for another request.
    #[response(status = 422)]
    IdempotencyKeyReused(#[to_schema] SimpleError<'static>),
    /// The user has had as many messages as an hour allows; nothing was stored.
    #[response(status = 429, headers(("Retry-After" = u32, description = "After how many seconds to ask again.")))]
    UserThrottled(#[to_schema] SimpleError<'static>),
    /// Something broke inside; the operator finds the reason in the log.
    #[response(status = 500)]
    InternalError(#[to_schema] SimpleError<'static>),
    /// The message cannot be stored now; nothing was sent.
    #[response(status = 503, headers(("Retry-After" = u32, description = "After how many seconds to ask again.")))]
    StoreUnavailable(#[to_schema] SimpleError<'static>),
}
