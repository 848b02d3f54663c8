//! The texting API: `POST /messages`, and `POST /messages/delivery_status` for the providers of this API.
//!
//! The callback is for providers with `receipts = "texting"` only and needs the token of the callback URL; without it
//! the response is 401 for every request. Only callers that also send an API key get the message back.
//!
//! The HTTP status is 200 and the outcome is in `status`, except for requests that cannot be processed at all (401, 403,
//! 405, 408, 413, 429, 503). Errors are sentences for people and contain no internals.

mod envelope;
mod fields;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use axum::http::{Request, Response, StatusCode};
use axum::routing::post;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use self::envelope::TextingResponse;
use self::envelope::{
    TextingError, TextingErrorResponse, capitalize, error_response, json_response, ok_status_error,
};
use self::fields::{TextingFields, TextingMessage, TextingStatus};
use super::denial::Denial;
use super::error_responses::{error_responses, retry_after_header};
use super::errors::store_status;
use super::{auth, errors, form};
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_engine::accept::{self, AcceptError, Accepted};
use postrider_engine::config::Scope;
use postrider_engine::gateway::{Gateway, ProviderRuntime};
use postrider_engine::receipts;
use postrider_store::ReceiptResult;

/// Maximum length of a provider's reference, in characters.
const REFERENCE_CHARS_MAX: usize = 255;

/// OpenAPI description of the texting API.
#[derive(OpenApi)]
#[openapi(paths(send, delivery_status))]
pub(super) struct TextingApiDoc;

/// Returns the routes of the texting API.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/messages", post(send))
        .route("/messages/delivery_status", post(delivery_status))
        .method_not_allowed_fallback(method_not_allowed)
}

/// Returns the 405 response; axum adds the `Allow` header.
async fn method_not_allowed() -> Response<Body> {
    error_response(StatusCode::METHOD_NOT_ALLOWED, "Use POST here")
}

/// Accepts one message as JSON, as a form, or in the query.
#[utoipa::path(
    post,
    path = "/messages",
    operation_id = "send_texting_message",
    tag = "texting",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's id of this request.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body(content((TextingMessage = "application/json"), (TextingMessage = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The message is on disk, or `message` says why it is not.", body = TextingResponse<TextingAccepted, TextingError>),
        (status = 401, description = "The API key is missing or unknown.", body = TextingError),
        (status = 403, description = "The API key lacks the scope `send`.", body = TextingError),
        (status = 429, description = "The hourly message limit of the user or a spending limit of the API key is reached; nothing was stored.",
            body = TextingError, headers(("Retry-After" = u32, description = "Seconds until a retry is useful."))),
        TextingErrorResponses,
    )
)]
async fn send(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    match accept_message(&gateway, request).await {
        Ok(accepted) => {
            let envelope = TextingAccepted { status: "ok", message_id: accepted.id.to_string() };
            let mut response = json_response(StatusCode::OK, envelope);
            errors::mark_replayed(response.headers_mut(), accepted.is_replay);
            response
        }
        Err(response) => *response,
    }
}

async fn accept_message(gateway: &Gateway, request: Request<Body>) -> Result<Accepted, TextingErrorResponse> {
    let (head, content) = request.into_parts();
    let caller = auth::authorize(gateway, &head.headers, Scope::Send).map_err(|error| {
        let message = capitalize(&error.message());
        Box::new(error.challenge(error_response(error.status(), &message)))
    })?;
    let texting_fields = TextingFields::read(gateway, &head, content).await?;
    let phone_number = texting_fields.phone_number("phone_number")?;
    let message_body = texting_fields.text("message_body")?;
    if phone_number.trim().is_empty() {
        return Err(ok_status_error("There must be a phone_number"));
    }
    if message_body.is_empty() {
        return Err(ok_status_error("There must be a message_body"));
    }
    let fingerprint = || format!("{phone_number}\0{message_body}");
    let idempotency_key =
        errors::read_idempotency_key(&head.headers, "texting", &caller.api_key_name, fingerprint)
            .map_err(|message| ok_status_error(&capitalize(message)))?;
    let request = accept::AcceptRequest {
        addresses: vec![(errors::default_channel(gateway).to_owned(), phone_number)],
        body: message_body,
        api_key_name: caller.api_key_name,
        idempotency_key,
        ..accept::AcceptRequest::default()
    };
    accept::accept(gateway, request).await.map_err(|error| accept_error_response(&error))
}

/// Applies the later status of a message that a provider reports as JSON, as a form, or in the query.
#[utoipa::path(
    post,
    path = "/messages/delivery_status",
    operation_id = "receive_delivery_status",
    tag = "texting",
    security(()),
    params(("token" = String, Query, description = "The token of the callback URL of the provider.")),
    request_body(content((TextingStatus = "application/json"), (TextingStatus = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The status was applied, or `message` says why it was not. The response contains the \
            message only if the caller also sends an API key with the scope `read` that may read it.", body = TextingResponse<TextingStatusApplied, TextingError>),
        (status = 401, description = "The token is missing or unknown.", body = TextingError),
        TextingErrorResponses,
    )
)]
async fn delivery_status(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    apply_status(&gateway, request).await.unwrap_or_else(|response| *response)
}

async fn apply_status(
    gateway: &Gateway,
    request: Request<Body>,
) -> Result<Response<Body>, TextingErrorResponse> {
    let (head, content) = request.into_parts();
    // Checked before the request is read, because a caller without the token must not learn anything from the response.
    let provider = callback_provider(gateway, &head).ok_or_else(invalid_token_response)?;
    let status_fields = TextingFields::read(gateway, &head, content).await?;
    let receipt_status =
        parse_status(&status_fields.text("status")?).ok_or_else(|| ok_status_error("Invalid status"))?;
    let reference = status_fields.text("message_id")?;
    let has_valid_length = (1..=REFERENCE_CHARS_MAX).contains(&reference.chars().count());
    if !has_valid_length || reference.contains('\0') {
        return Err(ok_status_error("There must be a message_id of at most 255 characters"));
    }
    let receipt = Receipt { reference, status: receipt_status, at: gateway.clock.now() };
    let results =
        receipts::apply_receipts(gateway, &provider.name, vec![receipt]).await.map_err(|error| {
            gateway.metrics.store_errors.inc();
            log::error!("cannot apply receipt: error={}", error.chain());
            Box::new(error_response(
                store_status(&error),
                "The status cannot be stored now; send it again in a few seconds",
            ))
        })?;
    match results.into_iter().next() {
        Some(ReceiptResult::Applied(applied)) => {
            let message = can_read_message(gateway, &head, &applied.owner)
                .then_some(TextingAppliedMessage { phone_number: &applied.spelling, body: &applied.body });
            Ok(json_response(StatusCode::OK, TextingStatusApplied { status: "ok", message }))
        }
        Some(ReceiptResult::Unchanged(_)) => {
            Err(ok_status_error("This message is finished already; nothing was changed"))
        }
        Some(ReceiptResult::Unmatched) => {
            Err(ok_status_error("This message is not known yet; its status is kept until it is"))
        }
        Some(ReceiptResult::Dropped) | None => Err(Box::new(error_response(
            StatusCode::SERVICE_UNAVAILABLE,
            "This message is not known yet, and too many statuses wait already; send it again in a few seconds",
        ))),
    }
}

/// Returns the provider of the token in the callback URL.
fn callback_provider<'a>(gateway: &'a Gateway, head: &Parts) -> Option<&'a Arc<ProviderRuntime>> {
    let query = head.uri.query().unwrap_or_default();
    let token = form::field(query.as_bytes(), "token").ok()?;
    gateway.provider_of_callback_token(&token)
}

fn invalid_token_response() -> TextingErrorResponse {
    let response =
        error_response(StatusCode::UNAUTHORIZED, "The token of the callback URL is missing or wrong");
    let mut response = auth::AuthError::UnknownKey.challenge(response);
    response.extensions_mut().insert(Denial::CallbackUnauthenticated { provider: None });
    Box::new(response)
}

/// Returns whether the caller sends an API key that may read the messages of this owner. Returns `false` if no keys are
/// configured, because any caller could then read the messages.
fn can_read_message(gateway: &Gateway, head: &Parts, owner: &str) -> bool {
    !gateway.api_keys().is_empty()
        && auth::authorize(gateway, &head.headers, Scope::Read).is_ok_and(|caller| caller.can_access(owner))
}

/// Parses the status values of the callback.
fn parse_status(status: &str) -> Option<ReceiptStatus> {
    let reason = || format!("the provider reports \"{status}\"");
    match status {
        "delivered" => Some(ReceiptStatus::Delivered),
        "failed" => Some(ReceiptStatus::Bounced { reason: reason() }),
        "invalid" => Some(ReceiptStatus::Invalid { reason: reason() }),
        _ => None,
    }
}

fn accept_error_response(error: &AcceptError) -> TextingErrorResponse {
    let message = errors::accept_error_message(error);
    match error {
        AcceptError::Suppressed(_) => ok_status_error("Phone number is inactive"),
        AcceptError::NoRecipient
        | AcceptError::InvalidAddress { .. }
        | AcceptError::InvalidContact { .. }
        | AcceptError::NoUsableContact { .. } => {
            ok_status_error(&format!("Phone number is not valid: {message}"))
        }
        AcceptError::Throttled { retry_after } | AcceptError::SpendingLimit { retry_after } => {
            let mut response = error_response(StatusCode::TOO_MANY_REQUESTS, &capitalize(&message));
            response.headers_mut().insert(RETRY_AFTER, errors::retry_after(*retry_after));
            Box::new(response)
        }
        AcceptError::Store(cause) => Box::new(error_response(store_status(cause), &capitalize(&message))),
        AcceptError::UnknownChannel(_) => {
            Box::new(error_response(StatusCode::SERVICE_UNAVAILABLE, &capitalize(&message)))
        }
        AcceptError::EmptyBody
        | AcceptError::InvalidBody
        | AcceptError::BodyTooLong(_)
        | AcceptError::TooManyParts { .. }
        | AcceptError::PushTooLong { .. }
        | AcceptError::InvalidSubject(_)
        | AcceptError::ExpiresTooEarly
        | AcceptError::InvalidSender
        | AcceptError::SenderNotAllowed
        | AcceptError::IdempotencyKeyReused => ok_status_error(&capitalize(&message)),
    }
}

/// A message that was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingAccepted)]
struct TextingAccepted {
    /// Always `ok`.
    status: &'static str,
    /// The message's id.
    #[schema(format = "uuid")]
    message_id: String,
}

/// A status that was applied.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingStatusApplied)]
struct TextingStatusApplied<'a> {
    /// Always `ok`.
    status: &'static str,
    /// The message of the status; only if the caller sends an API key that may read messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<TextingAppliedMessage<'a>>,
}

/// A message as the client sent it.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingAppliedMessage)]
struct TextingAppliedMessage<'a> {
    /// The phone number in the client's spelling.
    phone_number: &'a str,
    /// The message text.
    body: &'a str,
}

error_responses! {
    /// Error responses of both operations.
    TextingErrorResponses("TextingError", "application/json") {
        408 "The body did not arrive in time.";
        413 "The body is too long.";
        500 "Internal error; the log contains the cause.";
        503 "The message or status cannot be stored now." with retry_after_header();
    }
}
