//! The texting face: `POST /messages`, and `POST /messages/delivery_status` for its providers.
//!
//! The callback is for providers with `receipts = "texting"` only, and needs the token of the URL that they were given;
//! without it the answer is 401 whatever the request says. Only callers with an API key are shown the message.
//!
//! The HTTP status is 200 and the outcome is in `status`, except where the request cannot be taken at all (401,
//! 403, 405, 408, 413, 429, 503). Errors are sentences for people; nothing from inside is ever in them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::routing::post;
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoResponses, OpenApi, ToSchema};

use super::describe::{TextingAnswer, TextingMessage, TextingStatus};
use super::problem::{RETRY_SECONDS, store_status};
use super::{auth, body, form, refusal};
use crate::config::Scope;
use crate::domain::receipt::{Receipt, Verdict};
use crate::flow::accept::{self, Accepted, Refused};
use crate::flow::settle;
use crate::gateway::{Gateway, Lane};
use crate::store::Settled;

/// The longest reference a provider may give a message, in characters.
const REFERENCE_CHARS_MAX: usize = 255;

/// An answer that is not a success.
type Refusal = Box<Response<Body>>;

/// What the face says of itself.
#[derive(OpenApi)]
#[openapi(paths(send, delivery_status))]
pub(super) struct Described;

/// Where the face is.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/messages", post(send))
        .route("/messages/delivery_status", post(delivery_status))
        .method_not_allowed_fallback(wrong_method)
}

/// The answer for a method the face does not take; axum adds which it does.
async fn wrong_method() -> Response<Body> {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "Use POST here")
}

/// Takes one message in, as JSON, as a form, or in the query.
#[utoipa::path(
    post,
    path = "/messages",
    operation_id = "send_text",
    tag = "texting",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's name for this request.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body(content((TextingMessage = "application/json"), (TextingMessage = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It is on disk, or the reason why it is not.", body = TextingAnswer<Taken, Sorry>),
        (status = 401, description = "No API key came with the request, or nobody knows it.", body = Sorry),
        (status = 403, description = "The API key does not open this door.", body = Sorry),
        (status = 429, description = "The user has had as many messages as an hour allows; nothing was stored.",
            body = Sorry, headers(("Retry-After" = u32, description = "After how many seconds to ask again."))),
        TextingErrors,
    )
)]
async fn send(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    match taken(&gateway, request).await {
        Ok(accepted) => {
            let envelope = Taken {
                status: "ok",
                message_id: accepted.id.to_string(),
            };
            let mut response = answer(StatusCode::OK, &envelope);
            refusal::mark_replayed(response.headers_mut(), accepted.replayed);
            response
        }
        Err(response) => *response,
    }
}

async fn taken(gateway: &Gateway, request: Request<Body>) -> Result<Accepted, Refusal> {
    let (head, content) = request.into_parts();
    let caller = auth::caller(gateway, &head.headers, Scope::Send).map_err(|denied| {
        let sentence = capitalised(&denied.sentence());
        Box::new(denied.challenge(refuse(denied.status(), &sentence)))
    })?;
    let fields = Fields::read(gateway, &head, content).await?;
    let number = fields.number("phone_number")?;
    let text = fields.text("message_body")?;
    if number.trim().is_empty() {
        return Err(sorry("There must be a phone_number"));
    }
    if text.is_empty() {
        return Err(sorry("There must be a message_body"));
    }
    let key = refusal::request_key(&head.headers, "texting", caller, || format!("{number}\0{text}"))
        .map_err(|sentence| sorry(&capitalised(sentence)))?;
    let request = accept::Request {
        to: vec![(refusal::default_channel(gateway).to_owned(), number)],
        body: text,
        caller: caller.to_owned(),
        key,
        ..accept::Request::default()
    };
    accept::accept(gateway, request)
        .await
        .map_err(|refused| refused_envelope(&refused))
}

/// Takes a provider's later word in, as JSON, as a form, or in the query.
#[utoipa::path(
    post,
    path = "/messages/delivery_status",
    operation_id = "take_delivery_status",
    tag = "texting",
    security(()),
    params(("token" = String, Query, description = "The token of the callback URL that the provider was given.")),
    request_body(content((TextingStatus = "application/json"), (TextingStatus = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It was applied, or the reason why it was not. The message is shown to callers \
            that also send an API key with the scope `read`.", body = TextingAnswer<Heard, Sorry>),
        (status = 401, description = "The token is missing, or no provider was given it.", body = Sorry),
        TextingErrors,
    )
)]
async fn delivery_status(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    settled(&gateway, request)
        .await
        .unwrap_or_else(|response| *response)
}

async fn settled(gateway: &Gateway, request: Request<Body>) -> Result<Response<Body>, Refusal> {
    let (head, content) = request.into_parts();
    // Before anything of the request is read: without the token there is nothing to find out here.
    let lane = caller(gateway, &head).ok_or_else(unauthenticated)?;
    let fields = Fields::read(gateway, &head, content).await?;
    let verdict = verdict(&fields.text("status")?).ok_or_else(|| sorry("Invalid status"))?;
    let reference = fields.text("message_id")?;
    let fits = (1..=REFERENCE_CHARS_MAX).contains(&reference.chars().count());
    if !fits || reference.contains('\0') {
        return Err(sorry("There must be a message_id of at most 255 characters"));
    }
    let receipt = Receipt {
        reference,
        verdict,
        at: gateway.clock.now(),
    };
    let settled = settle::settle(gateway, &lane.name, vec![receipt])
        .await
        .map_err(|error| {
            gateway.metrics.store_errors.inc();
            log::error!("cannot settle: {}", error.chain());
            Box::new(refuse(
                store_status(&error),
                "The status cannot be stored now; send it again in a moment",
            ))
        })?;
    match settled.into_iter().next() {
        Some(Settled::Applied(settlement)) => {
            let message = may_read(gateway, &head).then_some(Said {
                phone_number: &settlement.spelling,
                body: &settlement.body,
            });
            let envelope = Heard {
                status: "ok",
                message,
            };
            Ok(answer(StatusCode::OK, &envelope))
        }
        Some(Settled::Unchanged(_)) => Err(sorry("This message is finished already; nothing was changed")),
        Some(Settled::Kept) => Err(sorry(
            "This message is not known yet; its status is kept until it is",
        )),
        Some(Settled::Dropped) | None => Err(Box::new(refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "This message is not known yet, and too many statuses wait already; send it again in a moment",
        ))),
    }
}

/// The provider whose token the callback URL carries.
fn caller<'a>(gateway: &'a Gateway, head: &Parts) -> Option<&'a Arc<Lane>> {
    let query = head.uri.query().unwrap_or_default();
    let token = form::field(query.as_bytes(), "token").ok()?;
    gateway.lane_of_callback(&token)
}

fn unauthenticated() -> Refusal {
    let refused = refuse(
        StatusCode::UNAUTHORIZED,
        "The token of the callback URL is missing or wrong",
    );
    Box::new(auth::Denied::Unknown.challenge(refused))
}

/// Whether the caller shows an API key that may read messages. A gateway without keys shows nothing: its callers prove
/// nothing.
fn may_read(gateway: &Gateway, head: &Parts) -> bool {
    !gateway.config.keys.is_empty() && auth::caller(gateway, &head.headers, Scope::Read).is_ok()
}

/// The three words of the callback.
fn verdict(status: &str) -> Option<Verdict> {
    let reason = || format!("the provider reports \"{status}\"");
    match status {
        "delivered" => Some(Verdict::Delivered),
        "failed" => Some(Verdict::Bounced { reason: reason() }),
        "invalid" => Some(Verdict::Invalid { reason: reason() }),
        _ => None,
    }
}

/// The fields of a request, however they came.
enum Fields {
    /// As a JSON object.
    Json(serde_json::Map<String, Value>),
    /// As a form or a query.
    Form(Vec<u8>),
}

impl Fields {
    async fn read(gateway: &Gateway, head: &Parts, content: Body) -> Result<Self, Refusal> {
        let kind = body::content_type(&head.headers);
        let content = body::read(&head.headers, content, &gateway.config.limits)
            .await
            .map_err(|trouble| {
                let status = match trouble {
                    body::BodyTrouble::Broken => StatusCode::OK,
                    body::BodyTrouble::TooLong(_) | body::BodyTrouble::TooSlow(_) => trouble.status(),
                };
                Box::new(refuse(status, &capitalised(&trouble.sentence())))
            })?;
        let looks_like_json = content.trim_ascii_start().starts_with(b"{");
        if content.is_empty() {
            Ok(Self::Form(
                head.uri.query().unwrap_or_default().as_bytes().to_vec(),
            ))
        } else if body::is_json(&kind) || (kind.is_empty() && looks_like_json) {
            serde_json::from_slice(&content)
                .map(Self::Json)
                .map_err(|_| sorry("The body is not a JSON object in UTF-8"))
        } else if kind.is_empty() || kind == body::FORM {
            Ok(Self::Form(content.to_vec()))
        } else {
            Err(sorry(&format!(
                "This content type cannot be read; send application/json or {}",
                body::FORM
            )))
        }
    }

    /// A field's text, or an empty one when there is no such field.
    fn text(&self, name: &str) -> Result<String, Refusal> {
        match self {
            Self::Json(object) => match object.get(name) {
                None | Some(Value::Null) => Ok(String::new()),
                Some(Value::String(text)) => Ok(text.clone()),
                Some(_) => Err(sorry(&format!("The field {name} must be a text"))),
            },
            Self::Form(encoded) => form::field(encoded, name)
                .map(std::borrow::Cow::into_owned)
                .map_err(|garbled| unreadable(name, garbled)),
        }
    }

    /// A telephone number's digits, also where they were written as a number.
    fn number(&self, name: &str) -> Result<String, Refusal> {
        match self {
            Self::Json(object) => match object.get(name) {
                Some(Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
                _ => self.text(name),
            },
            Self::Form(encoded) => form::number(encoded, name)
                .map(std::borrow::Cow::into_owned)
                .map_err(|garbled| unreadable(name, garbled)),
        }
    }
}

fn unreadable(name: &str, garbled: form::Garbled) -> Refusal {
    sorry(&format!("The field {name} cannot be read: {garbled}"))
}

fn refused_envelope(refused: &Refused) -> Refusal {
    match refused {
        Refused::Suppressed => sorry("Phone number is inactive"),
        Refused::NoRecipient
        | Refused::BadAddress { .. }
        | Refused::BadContact { .. }
        | Refused::NoAddress { .. } => sorry(&format!(
            "Phone number is not valid: {}",
            refusal::sentence(refused)
        )),
        Refused::Throttled { retry_after } => {
            let sentence = capitalised(&refusal::sentence(refused));
            let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, &sentence);
            let wait = refusal::retry_after(*retry_after);
            response.headers_mut().insert(RETRY_AFTER, wait);
            Box::new(response)
        }
        Refused::Store(error) => Box::new(refuse(
            store_status(error),
            &capitalised(&refusal::sentence(refused)),
        )),
        Refused::UnknownChannel(_) => Box::new(refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            &capitalised(&refusal::sentence(refused)),
        )),
        Refused::EmptyBody
        | Refused::UnsendableBody
        | Refused::LongBody(_)
        | Refused::BadSubject(_)
        | Refused::ExpiresTooEarly
        | Refused::KeyReused => sorry(&capitalised(&refusal::sentence(refused))),
    }
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

fn sorry(sentence: &str) -> Refusal {
    Box::new(refuse(StatusCode::OK, sentence))
}

fn refuse(status: StatusCode, sentence: &str) -> Response<Body> {
    let envelope = Sorry {
        status: "error",
        message: sentence,
    };
    answer(status, &envelope)
}

/// A message that is on disk.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingTaken)]
struct Taken {
    /// Always `ok`.
    status: &'static str,
    /// The message's id.
    #[schema(format = "uuid")]
    message_id: String,
}

/// A status that was applied.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingHeard)]
struct Heard<'a> {
    /// Always `ok`.
    status: &'static str,
    /// Which message it was; only for callers with an API key that may read messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Said<'a>>,
}

/// A message, as the client wrote it.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingSaid)]
struct Said<'a> {
    /// To whom.
    phone_number: &'a str,
    /// What it says.
    body: &'a str,
}

/// What was not done.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingSorry)]
struct Sorry<'a> {
    /// Always `error`.
    status: &'static str,
    /// Why, in a sentence.
    message: &'a str,
}

/// The ways in which the face fails whatever was asked.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its form is used")]
enum TextingErrors {
    /// The body did not arrive in time.
    #[response(status = 408)]
    Slow(#[to_schema] Sorry<'static>),
    /// The body is longer than is taken.
    #[response(status = 413)]
    Long(#[to_schema] Sorry<'static>),
    /// Something broke inside; the operator finds the reason in the log.
    #[response(status = 500)]
    Broken(#[to_schema] Sorry<'static>),
    /// It cannot be stored now.
    #[response(status = 503, headers(("Retry-After" = u32, description = "After how many seconds to ask again.")))]
    Away(#[to_schema] Sorry<'static>),
}

fn answer(status: StatusCode, envelope: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(Body::from(serde_json::to_vec(envelope).unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, RETRY_SECONDS);
    }
    response
}
