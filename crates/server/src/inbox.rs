//! The inbox API: `POST /inbox/send` accepts one message over every used channel.
//!
//! Errors are problem documents; all invalid fields are listed by `propertyPath`, with the texts that existing clients
//! expect. A missing or invalid contact fails only the delivery on its own channel, never the request.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

use super::error_responses::{
    AcceptErrorResponses, AuthErrorResponses, BodyErrorResponses, NotJsonResponses, StoreErrorResponses,
};
use super::problem::{self, PROBLEM_JSON, Problem};
use super::request_bodies::InboxMessage;
use super::{auth, body, errors};
use postrider_core::address::AddressKind;
use postrider_engine::accept::{self, AcceptError, Accepted};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;

/// Maximum message length, in characters.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// Length of a UUID with hyphens.
const UUID_CHARS: usize = 36;

/// Minimum and maximum length of each contact, in characters.
const EMAIL_CHARS: [usize; 2] = [3, 255];
const PHONE_CHARS: [usize; 2] = [3, 50];
const PUSH_TOKEN_CHARS: [usize; 2] = [3, 255];

/// OpenAPI description of the inbox API.
#[derive(OpenApi)]
#[openapi(paths(send))]
pub(super) struct InboxApiDoc;

/// Returns the routes of the inbox API.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/inbox/send", post(send)).method_not_allowed_fallback(problem::method_not_allowed)
}

/// A message that was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxAccepted)]
struct InboxAccepted {
    /// Always `success`.
    status: &'static str,
    /// Identifies the message.
    data: InboxAcceptedData,
}

/// The running number of a message.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxAcceptedData)]
struct InboxAcceptedData {
    /// The number.
    id: i64,
}

/// Accepts one message over every used channel.
///
/// A missing or invalid contact fails only the delivery on its own channel, never the request.
#[utoipa::path(
    post,
    path = "/inbox/send",
    operation_id = "send_to_inbox",
    tag = "inbox",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's id of this request.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body(content = InboxMessage, content_type = "application/json"),
    responses(
        (status = 201, description = "The message is on disk.", body = InboxAccepted),
        AuthErrorResponses, BodyErrorResponses, NotJsonResponses, AcceptErrorResponses, StoreErrorResponses,
        (status = 422, description = "A field, the recipient or the Idempotency-Key is not valid.",
            body = InboxProblem, content_type = PROBLEM_JSON),
    )
)]
async fn send(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let accepted = accept_message(&gateway, request).await?;
    let body = InboxAccepted { status: "success", data: InboxAcceptedData { id: accepted.number } };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    errors::mark_replayed(response.headers_mut(), accepted.is_replay);
    Ok(response)
}

async fn accept_message(gateway: &Gateway, request: Request<Body>) -> Result<Accepted, Problem> {
    let (head, content) = request.into_parts();
    let key_name = &auth::authorize(gateway, &head.headers, Scope::Send)?;
    let object = body::json_object(gateway, &head.headers, content).await?;
    let mut accept_request =
        parse_request(gateway, &object).map_err(|violations| validation_problem(&violations))?;
    key_name.clone_into(&mut accept_request.api_key_name);
    let fingerprint = || Value::Object(object).to_string();
    accept_request.idempotency_key =
        errors::read_idempotency_key(&head.headers, "inbox", key_name, fingerprint)
            .map_err(problem::invalid_idempotency_key)?;
    accept::accept(gateway, accept_request).await.map_err(|error| accept_error_problem(&error))
}

/// One invalid field.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InboxViolation)]
struct InboxViolation {
    /// Name of the field.
    property_path: &'static str,
    /// Description of the violation.
    title: String,
}

/// A problem document with all violations.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxProblem)]
struct InboxProblem {
    /// Relative reference that names the kind of problem.
    r#type: String,
    /// The kind of problem as text.
    title: String,
    /// The HTTP status.
    status: u16,
    /// All violations as text.
    detail: String,
    /// The invalid fields, if the problem lies in the fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<Vec<InboxViolation>>,
}

/// Parses the request, or returns all violations.
fn parse_request(
    gateway: &Gateway,
    object: &Map<String, Value>,
) -> Result<accept::AcceptRequest, Vec<InboxViolation>> {
    let mut fields = InboxFields { object, violations: Vec::new() };
    let user = fields.user_id();
    let message = fields.required_text("message", [1, MESSAGE_CHARS_MAX]);
    let email = fields.optional_text("email", EMAIL_CHARS);
    let phone = fields.optional_text("phoneNumber", PHONE_CHARS);
    let token = fields.optional_text("pushToken", PUSH_TOKEN_CHARS);
    if !fields.violations.is_empty() {
        return Err(fields.violations);
    }
    let contacts = [(AddressKind::Phone, phone), (AddressKind::Email, email), (AddressKind::Push, token)];
    let contacts = contacts.into_iter().filter_map(|(kind, typed)| Some((kind, typed?.to_owned())));
    let used = gateway.config.used_channels.iter();
    Ok(accept::AcceptRequest {
        channels: used.map(ToString::to_string).collect(),
        contacts: contacts.collect(),
        on_missing_address: accept::MissingAddressPolicy::FailDelivery,
        body: message.unwrap_or_default().to_owned(),
        user: user.map(str::to_owned),
        ..accept::AcceptRequest::default()
    })
}

struct InboxFields<'a> {
    object: &'a Map<String, Value>,
    violations: Vec<InboxViolation>,
}

impl<'a> InboxFields<'a> {
    fn add_violation(&mut self, property_path: &'static str, title: impl Into<String>) -> Option<&'a str> {
        let title = title.into();
        self.violations.push(InboxViolation { property_path, title });
        None
    }

    fn user_id(&mut self) -> Option<&'a str> {
        match self.object.get("userId") {
            Some(Value::String(text)) if !text.is_empty() && !is_uuid(text) => {
                self.add_violation("userId", "This is not a valid UUID.")
            }
            _ => self.required_text("userId", [UUID_CHARS; 2]),
        }
    }

    fn required_text(&mut self, name: &'static str, chars: [usize; 2]) -> Option<&'a str> {
        match self.object.get(name) {
            None | Some(Value::Null) => self.add_violation(name, "This value should not be blank."),
            Some(Value::String(text)) if text.is_empty() => {
                self.add_violation(name, "This value should not be blank.")
            }
            Some(_) => self.optional_text(name, chars),
        }
    }

    fn optional_text(&mut self, name: &'static str, [min, max]: [usize; 2]) -> Option<&'a str> {
        let text = match self.object.get(name)? {
            Value::Null => return None,
            Value::String(text) => text,
            _ => return self.add_violation(name, "This value should be of type string."),
        };
        let count = text.chars().count();
        if count < min {
            let title = format!("This value is too short. It should have {min} characters or more.");
            return self.add_violation(name, title);
        }
        if count > max {
            let title = format!("This value is too long. It should have {max} characters or less.");
            return self.add_violation(name, title);
        }
        if text.contains('\0') {
            return self.add_violation(name, "This value should not contain the character NUL.");
        }
        Some(text)
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == UUID_CHARS && Uuid::try_parse(text).is_ok()
}

fn validation_problem(violations: &[InboxViolation]) -> Problem {
    let lines =
        violations.iter().map(|violation| format!("{}: {}", violation.property_path, violation.title));
    let detail = lines.collect::<Vec<_>>().join("\n");
    let violations_json = serde_json::to_value(violations).unwrap_or_default();
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation-failed", "Validation Failed", detail)
        .with("violations", violations_json)
}

fn accept_error_problem(error: &AcceptError) -> Problem {
    let property_path = match error {
        AcceptError::EmptyBody
        | AcceptError::InvalidBody
        | AcceptError::BodyTooLong(_)
        | AcceptError::InvalidSubject(_)
        | AcceptError::ExpiresTooEarly => "message",
        AcceptError::NoRecipient
        | AcceptError::UnknownChannel(_)
        | AcceptError::InvalidAddress { .. }
        | AcceptError::InvalidContact { .. }
        | AcceptError::NoUsableContact { .. } => "userId",
        AcceptError::Suppressed
        | AcceptError::Throttled { .. }
        | AcceptError::IdempotencyKeyReused
        | AcceptError::Store(_) => {
            return problem::accept_error(error);
        }
    };
    let title = errors::accept_error_message(error);
    validation_problem(&[InboxViolation { property_path, title }])
}
