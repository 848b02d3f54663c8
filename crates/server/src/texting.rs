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

use super::openapi::{TextingMessage, TextingResponse, TextingStatus};
use super::problem::{STORE_RETRY_AFTER_SECONDS, store_status};
use super::{auth, body, errors, form};
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_engine::accept::{self, AcceptError, Accepted};
use postrider_engine::config::Scope;
use postrider_engine::gateway::{Gateway, ProviderRuntime};
use postrider_engine::receipts;
use postrider_store::ReceiptResult;

/// The longest reference a provider may give a message, in characters.
const REFERENCE_CHARS_MAX: usize = 255;

/// An answer that is not a success.
type TextingErrorResponse = Box<Response<Body>>;

/// What the face says of itself.
#[derive(OpenApi)]
#[openapi(paths(send, delivery_status))]
pub(super) struct TextingApiDoc;

/// Where the face is.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/messages", post(send))
        .route("/messages/delivery_status", post(delivery_status))
        .method_not_allowed_fallback(method_not_allowed)
}

/// The answer for a method the face does not take; axum adds which it does.
async fn method_not_allowed() -> Response<Body> {
    error_response(StatusCode::METHOD_NOT_ALLOWED, "Use POST here")
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
        (status = 200, description = "It is on disk, or the reason why it is not.", body = TextingResponse<TextingAccepted, TextingError>),
        (status = 401, description = "No API key came with the request, or nobody knows it.", body = TextingError),
        (status = 403, description = "The API key does not open this door.", body = TextingError),
        (status = 429, description = "The user has had as many messages as an hour allows; nothing was stored.",
            body = TextingError, headers(("Retry-After" = u32, description = "After how many seconds to ask again."))),
        TextingErrorResponses,
    )
)]
async fn send(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    match accept_message(&gateway, request).await {
        Ok(accepted) => {
            let envelope = TextingAccepted {
                status: "ok",
                message_id: accepted.id.to_string(),
            };
            let mut response = json_response(StatusCode::OK, &envelope);
            errors::mark_replayed(response.headers_mut(), accepted.is_replay);
            response
        }
        Err(response) => *response,
    }
}

async fn accept_message(gateway: &Gateway, request: Request<Body>) -> Result<Accepted, TextingErrorResponse> {
    let (head, content) = request.into_parts();
    let caller = auth::authorize(gateway, &head.headers, Scope::Send).map_err(|denied| {
        let sentence = capitalised(&denied.message());
        Box::new(denied.challenge(error_response(denied.status(), &sentence)))
    })?;
    let fields = TextingFields::read(gateway, &head, content).await?;
    let number = fields.number("phone_number")?;
    let text = fields.text("message_body")?;
    if number.trim().is_empty() {
        return Err(ok_status_error("There must be a phone_number"));
    }
    if text.is_empty() {
        return Err(ok_status_error("There must be a message_body"));
    }
    let key = errors::read_idempotency_key(&head.headers, "texting", caller, || format!("{number}\0{text}"))
        .map_err(|sentence| ok_status_error(&capitalised(sentence)))?;
    let request = accept::AcceptRequest {
        addresses: vec![(errors::default_channel(gateway).to_owned(), number)],
        body: text,
        api_key_name: caller.to_owned(),
        idempotency_key: key,
        ..accept::AcceptRequest::default()
    };
    accept::accept(gateway, request)
        .await
        .map_err(|refused| accept_error_response(&refused))
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
            that also send an API key with the scope `read`.", body = TextingResponse<TextingStatusApplied, TextingError>),
        (status = 401, description = "The token is missing, or no provider was given it.", body = TextingError),
        TextingErrorResponses,
    )
)]
async fn delivery_status(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    apply_status(&gateway, request)
        .await
        .unwrap_or_else(|response| *response)
}

async fn apply_status(
    gateway: &Gateway,
    request: Request<Body>,
) -> Result<Response<Body>, TextingErrorResponse> {
    let (head, content) = request.into_parts();
    // Before anything of the request is read: without the token there is nothing to find out here.
    let lane = callback_provider(gateway, &head).ok_or_else(invalid_token_response)?;
    let fields = TextingFields::read(gateway, &head, content).await?;
    let verdict = parse_status(&fields.text("status")?).ok_or_else(|| ok_status_error("Invalid status"))?;
    let reference = fields.text("message_id")?;
    let fits = (1..=REFERENCE_CHARS_MAX).contains(&reference.chars().count());
    if !fits || reference.contains('\0') {
        return Err(ok_status_error(
            "There must be a message_id of at most 255 characters",
        ));
    }
    let receipt = Receipt {
        reference,
        status: verdict,
        at: gateway.clock.now(),
    };
    let settled = receipts::apply_receipts(gateway, &lane.name, vec![receipt])
        .await
        .map_err(|error| {
            gateway.metrics.store_errors.inc();
            log::error!("cannot settle: {}", error.chain());
            Box::new(error_response(
                store_status(&error),
                "The status cannot be stored now; send it again in a moment",
            ))
        })?;
    match settled.into_iter().next() {
        Some(ReceiptResult::Applied(settlement)) => {
            let message = can_read_messages(gateway, &head).then_some(TextingAppliedMessage {
                phone_number: &settlement.spelling,
                body: &settlement.body,
            });
            let envelope = TextingStatusApplied {
                status: "ok",
                message,
            };
            Ok(json_response(StatusCode::OK, &envelope))
        }
        Some(ReceiptResult::Unchanged(_)) => Err(ok_status_error(
            "This message is finished already; nothing was changed",
        )),
        Some(ReceiptResult::Unmatched) => Err(ok_status_error(
            "This message is not known yet; its status is kept until it is",
        )),
        Some(ReceiptResult::Dropped) | None => Err(Box::new(error_response(
            StatusCode::SERVICE_UNAVAILABLE,
            "This message is not known yet, and too many statuses wait already; send it again in a moment",
        ))),
    }
}

/// The provider whose token the callback URL carries.
fn callback_provider<'a>(gateway: &'a Gateway, head: &Parts) -> Option<&'a Arc<ProviderRuntime>> {
    let query = head.uri.query().unwrap_or_default();
    let token = form::field(query.as_bytes(), "token").ok()?;
    gateway.provider_of_callback_token(&token)
}

fn invalid_token_response() -> TextingErrorResponse {
    let refused = error_response(
        StatusCode::UNAUTHORIZED,
        "The token of the callback URL is missing or wrong",
    );
    Box::new(auth::AuthError::UnknownKey.challenge(refused))
}

/// Whether the caller shows an API key that may read messages. A gateway without keys shows nothing: its callers prove
/// nothing.
fn can_read_messages(gateway: &Gateway, head: &Parts) -> bool {
    !gateway.config.keys.is_empty() && auth::authorize(gateway, &head.headers, Scope::Read).is_ok()
}

/// The three words of the callback.
fn parse_status(status: &str) -> Option<ReceiptStatus> {
    let reason = || format!("the provider reports \"{status}\"");
    match status {
        "delivered" => Some(ReceiptStatus::Delivered),
        "failed" => Some(ReceiptStatus::Bounced { reason: reason() }),
        "invalid" => Some(ReceiptStatus::Invalid { reason: reason() }),
        _ => None,
    }
}

/// The fields of a request, however they came.
enum TextingFields {
    /// As a JSON object.
    Json(serde_json::Map<String, Value>),
    /// As a form or a query.
    Form(Vec<u8>),
}

impl TextingFields {
    async fn read(gateway: &Gateway, head: &Parts, content: Body) -> Result<Self, TextingErrorResponse> {
        let kind = body::content_type(&head.headers);
        let content = body::read(&head.headers, content, &gateway.config.limits)
            .await
            .map_err(|trouble| {
                let status = match trouble {
                    body::BodyError::Malformed => StatusCode::OK,
                    body::BodyError::TooLarge(_) | body::BodyError::TimedOut(_) => trouble.status(),
                };
                Box::new(error_response(status, &capitalised(&trouble.message())))
            })?;
        let looks_like_json = content.trim_ascii_start().starts_with(b"{");
        if content.is_empty() {
            Ok(Self::Form(
                head.uri.query().unwrap_or_default().as_bytes().to_vec(),
            ))
        } else if body::is_json(&kind) || (kind.is_empty() && looks_like_json) {
            serde_json::from_slice(&content)
                .map(Self::Json)
                .map_err(|_| ok_status_error("The body is not a JSON object in UTF-8"))
        } else if kind.is_empty() || kind == body::FORM_URLENCODED {
            Ok(Self::Form(content.to_vec()))
        } else {
            Err(ok_status_error(&format!(
                "This content type cannot be read; send application/json or {}",
                body::FORM_URLENCODED
            )))
        }
    }

    /// A field's text, or an empty one when there is no such field.
    fn text(&self, name: &str) -> Result<String, TextingErrorResponse> {
        match self {
            Self::Json(object) => match object.get(name) {
                None | Some(Value::Null) => Ok(String::new()),
                Some(Value::String(text)) => Ok(text.clone()),
                Some(_) => Err(ok_status_error(&format!("The field {name} must be a text"))),
            },
            Self::Form(encoded) => form::field(encoded, name)
                .map(std::borrow::Cow::into_owned)
                .map_err(|garbled| malformed_field(name, garbled)),
        }
    }

    /// A telephone number's digits, also where they were written as a number.
    fn number(&self, name: &str) -> Result<String, TextingErrorResponse> {
        match self {
            Self::Json(object) => match object.get(name) {
                Some(Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
                _ => self.text(name),
            },
            Self::Form(encoded) => form::phone_number(encoded, name)
                .map(std::borrow::Cow::into_owned)
                .map_err(|garbled| malformed_field(name, garbled)),
        }
    }
}

fn malformed_field(name: &str, garbled: form::FormDecodeError) -> TextingErrorResponse {
    ok_status_error(&format!("The field {name} cannot be read: {garbled}"))
}

fn accept_error_response(refused: &AcceptError) -> TextingErrorResponse {
    match refused {
        AcceptError::Suppressed => ok_status_error("Phone number is inactive"),
        AcceptError::NoRecipient
        | AcceptError::InvalidAddress { .. }
        | AcceptError::InvalidContact { .. }
        | AcceptError::NoUsableContact { .. } => ok_status_error(&format!(
            "Phone number is not valid: {}",
            errors::accept_error_message(refused)
        )),
        AcceptError::Throttled { retry_after } => {
            let sentence = capitalised(&errors::accept_error_message(refused));
            let mut response = error_response(StatusCode::TOO_MANY_REQUESTS, &sentence);
            let wait = errors::retry_after(*retry_after);
            response.headers_mut().insert(RETRY_AFTER, wait);
            Box::new(response)
        }
        AcceptError::Store(error) => Box::new(error_response(
            store_status(error),
            &capitalised(&errors::accept_error_message(refused)),
        )),
        AcceptError::UnknownChannel(_) => Box::new(error_response(
            StatusCode::SERVICE_UNAVAILABLE,
            &capitalised(&errors::accept_error_message(refused)),
        )),
        AcceptError::EmptyBody
        | AcceptError::InvalidBody
        | AcceptError::BodyTooLong(_)
        | AcceptError::InvalidSubject(_)
        | AcceptError::ExpiresTooEarly
        | AcceptError::IdempotencyKeyReused => {
            ok_status_error(&capitalised(&errors::accept_error_message(refused)))
        }
    }
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

fn ok_status_error(sentence: &str) -> TextingErrorResponse {
    Box::new(error_response(StatusCode::OK, sentence))
}

fn error_response(status: StatusCode, sentence: &str) -> Response<Body> {
    let envelope = TextingError {
        status: "error",
        message: sentence,
    };
    json_response(status, &envelope)
}

/// A message that is on disk.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingTaken)]
struct TextingAccepted {
    /// Always `ok`.
    status: &'static str,
    /// The message's id.
    #[schema(format = "uuid")]
    message_id: String,
}

/// A status that was applied.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingHeard)]
struct TextingStatusApplied<'a> {
    /// Always `ok`.
    status: &'static str,
    /// Which message it was; only for callers with an API key that may read messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<TextingAppliedMessage<'a>>,
}

/// A message, as the client wrote it.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingSaid)]
struct TextingAppliedMessage<'a> {
    /// To whom.
    phone_number: &'a str,
    /// What it says.
    body: &'a str,
}

/// What was not done.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingSorry)]
struct TextingError<'a> {
    /// Always `error`.
    status: &'static str,
    /// Why, in a sentence.
    message: &'a str,
}

/// The ways in which the face fails whatever was asked.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its form is used")]
enum TextingErrorResponses {
    /// The body did not arrive in time.
    #[response(status = 408)]
    RequestTimeout(#[to_schema] TextingError<'static>),
    /// The body is longer than is taken.
    #[response(status = 413)]
    ContentTooLarge(#[to_schema] TextingError<'static>),
    /// Something broke inside; the operator finds the reason in the log.
    #[response(status = 500)]
    InternalError(#[to_schema] TextingError<'static>),
    /// It cannot be stored now.
    #[response(status = 503, headers(("Retry-After" = u32, description = "After how many seconds to ask again.")))]
    StoreUnavailable(#[to_schema] TextingError<'static>),
}

fn json_response(status: StatusCode, envelope: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(Body::from(serde_json::to_vec(envelope).unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, STORE_RETRY_AFTER_SECONDS);
    }
    response
}
