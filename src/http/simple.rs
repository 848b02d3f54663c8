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

use super::describe::SimpleMessage;
use super::problem::{RETRY_SECONDS, store_status};
use super::{auth, body, form, refusal};
use crate::config::Scope;
use crate::flow::accept::{self, Accepted, Refused};
use crate::gateway::Gateway;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the face says of itself.
#[derive(OpenApi)]
#[openapi(paths(send_by_query, send_by_form))]
pub(super) struct Described;

/// Where the face is, with and without the slash some clients write.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/sms/send", get(send_by_query).post(send_by_form))
        .route("/sms/send/", get(send_by_query).post(send_by_form))
        .route("/sms/{*rest}", any(unknown_path))
        .method_not_allowed_fallback(wrong_method)
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
        (status = 200, description = "The message is on disk.", body = SimpleTaken),
        (status = 400, description = "A field is missing or wrong, or the number is inactive.", body = Envelope),
        SimpleErrors,
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
        (status = 200, description = "The message is on disk.", body = SimpleTaken),
        (status = 400, description = "A field is missing or wrong, or the number is inactive.", body = Envelope),
        (status = 408, description = "The body did not arrive in time.", body = Envelope),
        (status = 413, description = "The body is longer than is taken.", body = Envelope),
        (status = 415, description = "The body is no form.", body = Envelope),
        SimpleErrors,
    )
)]
async fn send_by_form(gateway: State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    send(gateway, request).await
}

async fn send(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    if request.method() == Method::HEAD {
        return wrong_method().await;
    }
    match taken(&gateway, request).await {
        Ok(accepted) => taken_envelope(&accepted),
        Err(response) => *response,
    }
}

async fn taken(gateway: &Gateway, request: Request<Body>) -> Result<Accepted, Box<Response<Body>>> {
    let (head, content) = request.into_parts();
    let caller = auth::caller(gateway, &head.headers, Scope::Send)
        .map_err(|denied| Box::new(denied.challenge(refuse(denied.status(), &denied.sentence()))))?;
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
    let number = form::number(fields, "number").map_err(|garbled| bad("number", garbled))?;
    let text = form::field(fields, "body").map_err(|garbled| bad("body", garbled))?;
    if number.trim().is_empty() {
        return Err(wrong("wrong number"));
    }
    if text.is_empty() {
        return Err(wrong("there must be a body"));
    }
    let key = refusal::request_key(&head.headers, "simple", caller, || format!("{number}\0{text}"))
        .map_err(wrong)?;
    let request = accept::Request {
        to: vec![(refusal::default_channel(gateway).to_owned(), number.into_owned())],
        body: text.into_owned(),
        caller: caller.to_owned(),
        key,
        ..accept::Request::default()
    };
    accept::accept(gateway, request)
        .await
        .map_err(|refused| Box::new(refused_envelope(&refused)))
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
        .map_err(|trouble| Box::new(refuse(trouble.status(), &trouble.sentence())))?;
    if content.is_empty() || kind == body::FORM {
        return Ok(content);
    }
    let sentence = format!(
        "send the fields number and body as {}, or in the query of a GET",
        body::FORM
    );
    Err(Box::new(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &sentence)))
}

fn bad(field: &str, garbled: form::Garbled) -> Box<Response<Body>> {
    wrong(&format!("{field}: {garbled}"))
}

fn wrong(sentence: &str) -> Box<Response<Body>> {
    Box::new(refuse(StatusCode::BAD_REQUEST, sentence))
}

async fn unknown_path() -> Response<Body> {
    refuse(
        StatusCode::NOT_FOUND,
        "there is nothing here; the way in is /sms/send",
    )
}

async fn wrong_method() -> Response<Body> {
    let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, "use GET or POST");
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET,POST"));
    response
}

fn taken_envelope(accepted: &Accepted) -> Response<Body> {
    let envelope = format!(
        r#"{{"Data":[{{"id":"{}","status":"accepted","parts":{}}}],"Message":""}}"#,
        accepted.id, accepted.parts
    );
    let mut response = Response::new(Body::from(envelope));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    refusal::mark_replayed(response.headers_mut(), accepted.replayed);
    response
}

fn refused_envelope(refused: &Refused) -> Response<Body> {
    let (status, sentence): (StatusCode, Cow<'static, str>) = match refused {
        Refused::NoRecipient => (StatusCode::BAD_REQUEST, "wrong number".into()),
        Refused::BadAddress { .. } | Refused::BadContact { .. } | Refused::NoAddress { .. } => {
            (StatusCode::BAD_REQUEST, "number should be 11".into())
        }
        Refused::Suppressed => (StatusCode::BAD_REQUEST, "number is inactive".into()),
        Refused::Throttled { .. } => (StatusCode::TOO_MANY_REQUESTS, refusal::sentence(refused).into()),
        Refused::KeyReused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            refusal::sentence(refused).into(),
        ),
        Refused::UnknownChannel(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "no channel for messages is configured".into(),
        ),
        Refused::Store(error) => (store_status(error), refusal::sentence(refused).into()),
        Refused::EmptyBody
        | Refused::UnsendableBody
        | Refused::LongBody(_)
        | Refused::BadSubject(_)
        | Refused::ExpiresTooEarly => (StatusCode::BAD_REQUEST, refusal::sentence(refused).into()),
    };
    let mut response = refuse(status, &sentence);
    if let Refused::Throttled { retry_after } = refused {
        let wait = refusal::retry_after(*retry_after);
        response.headers_mut().insert(RETRY_AFTER, wait);
    }
    response
}

/// How the face says that it did not take a message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SimpleRefusal)]
struct Envelope<'a> {
    /// Always empty.
    #[schema(value_type = Vec<String>, max_items = 0)]
    data: [(); 0],
    /// Why, in a sentence.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1)]
    message: [&'a str; 1],
}

fn refuse(status: StatusCode, sentence: &str) -> Response<Body> {
    let envelope = Envelope {
        data: [],
        message: [sentence],
    };
    let mut response = Response::new(Body::from(serde_json::to_vec(&envelope).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
    }
    response
}

/// How the face says that a message is on disk.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is used: the hot path writes it by hand")]
struct SimpleTaken {
    /// The message.
    #[schema(rename = "Data", min_items = 1, max_items = 1)]
    data: Vec<SimpleMessageTaken>,
    /// Always empty.
    #[schema(rename = "Message", max_length = 0)]
    message: String,
}

/// A message that is on disk.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is used")]
struct SimpleMessageTaken {
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
enum SimpleErrors {
    /// No API key came with the request, or nobody knows it.
    #[response(status = 401)]
    NoKey(#[to_schema] Envelope<'static>),
    /// The API key does not open this door.
    #[response(status = 403)]
    WrongScope(#[to_schema] Envelope<'static>),
    /// The Idempotency-Key was used for another request.
    #[response(status = 422)]
    KeyReused(#[to_schema] Envelope<'static>),
    /// The user has had as many messages as an hour allows; nothing was stored.
    #[response(status = 429, headers(("Retry-After" = u32, description = "After how many seconds to ask again.")))]
    Throttled(#[to_schema] Envelope<'static>),
    /// Something broke inside; the operator finds the reason in the log.
    #[response(status = 500)]
    Broken(#[to_schema] Envelope<'static>),
    /// The message cannot be stored now; nothing was sent.
    #[response(status = 503, headers(("Retry-After" = u32, description = "After how many seconds to ask again.")))]
    Away(#[to_schema] Envelope<'static>),
}
