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
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

use super::body::RepeatableRequest;
use super::error_responses::{
    AcceptErrorResponses, AuthErrorResponses, BodyErrorResponses, NotJsonResponses, StoreErrorResponses,
};
use super::errors;
use super::json_fields::ObjectReader;
use super::problem::{self, PROBLEM_JSON, Problem, Violation};
use postrider_core::address::AddressKind;
use postrider_engine::accept::{self, AcceptError, Accepted};
use postrider_engine::gateway::Gateway;

/// Maximum message length, in characters.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// Length of a UUID with hyphens.
const UUID_CHARS: usize = 36;

/// The fields with contacts: name, kind of address, and minimum and maximum length in characters.
const CONTACT_FIELDS: [(&str, AddressKind, [usize; 2]); 3] = [
    ("email", AddressKind::Email, [3, 255]),
    ("phoneNumber", AddressKind::Phone, [3, 50]),
    ("pushToken", AddressKind::Push, [3, 255]),
];

/// OpenAPI description of the inbox API.
#[derive(OpenApi)]
#[openapi(paths(send))]
pub(super) struct InboxApiDoc;

/// Returns the routes of the inbox API.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/inbox/send", post(send)).method_not_allowed_fallback(problem::method_not_allowed)
}

/// A message, as the inbox API accepts it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "its fields are read one by one, in order to report all errors at once")]
struct InboxMessage {
    /// User id.
    #[schema(format = "uuid", min_length = 36, max_length = 36)]
    user_id: String,
    /// The message text.
    #[schema(min_length = 1, max_length = 1000)]
    message: String,
    /// The user's e-mail address.
    #[schema(min_length = 3, max_length = 255)]
    email: Option<String>,
    /// The user's phone number.
    #[schema(min_length = 3, max_length = 50)]
    phone_number: Option<String>,
    /// The push token of the user's device.
    #[schema(min_length = 3, max_length = 255)]
    push_token: Option<String>,
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
    let envelope = InboxAccepted { status: "success", data: InboxAcceptedData { id: accepted.number } };
    let mut response = (StatusCode::CREATED, Json(envelope)).into_response();
    errors::mark_replayed(response.headers_mut(), accepted.is_replay);
    Ok(response)
}

async fn accept_message(gateway: &Gateway, request: Request<Body>) -> Result<Accepted, Problem> {
    let request = RepeatableRequest::read(gateway, request).await?;
    let mut accept_request = parse_request(gateway, &request.object).map_err(validation_problem)?;
    request.api_key_name.clone_into(&mut accept_request.api_key_name);
    accept_request.idempotency_key = request.idempotency_key("inbox")?;
    accept::accept(gateway, accept_request).await.map_err(|error| accept_error_problem(&error))
}

/// One invalid field.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InboxViolation)]
struct InboxViolation {
    /// Name of the field.
    property_path: String,
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
) -> Result<accept::AcceptRequest, Vec<Violation>> {
    let mut inbox_fields = ObjectReader::new(object, "");
    let user_id = read_user_id(&mut inbox_fields);
    let message = read_required_text(&mut inbox_fields, "message", [1, MESSAGE_CHARS_MAX]);
    let contacts = CONTACT_FIELDS.iter().filter_map(|(name, kind, chars)| {
        Some((*kind, read_text(&mut inbox_fields, name, *chars)?.to_owned()))
    });
    let request = accept::AcceptRequest {
        contacts: contacts.collect(),
        channels: gateway.config.used_channels.iter().map(ToString::to_string).collect(),
        on_missing_address: accept::MissingAddressPolicy::FailDelivery,
        body: message.unwrap_or_default().to_owned(),
        user: user_id.map(str::to_owned),
        ..accept::AcceptRequest::default()
    };
    inbox_fields.finish(request)
}

fn read_user_id<'a>(inbox_fields: &mut ObjectReader<'a>) -> Option<&'a str> {
    match inbox_fields.get("userId") {
        Some(Value::String(id)) if !id.is_empty() && !is_uuid(id) => {
            inbox_fields.add_violation("userId", "This is not a valid UUID.");
            None
        }
        _ => read_required_text(inbox_fields, "userId", [UUID_CHARS; 2]),
    }
}

fn read_required_text<'a>(
    inbox_fields: &mut ObjectReader<'a>,
    field_name: &str,
    chars: [usize; 2],
) -> Option<&'a str> {
    if inbox_fields.get(field_name).is_none_or(|json| json == "") {
        inbox_fields.add_violation(field_name, "This value should not be blank.");
        return None;
    }
    read_text(inbox_fields, field_name, chars)
}

fn read_text<'a>(
    inbox_fields: &mut ObjectReader<'a>,
    field_name: &str,
    [chars_min, chars_max]: [usize; 2],
) -> Option<&'a str> {
    let field_text = inbox_fields.read(field_name, "This value should be of type string.", Value::as_str)?;
    let char_count = field_text.chars().count();
    if char_count < chars_min {
        let title = format!("This value is too short. It should have {chars_min} characters or more.");
        inbox_fields.add_violation(field_name, title);
    } else if char_count > chars_max {
        let title = format!("This value is too long. It should have {chars_max} characters or less.");
        inbox_fields.add_violation(field_name, title);
    } else if field_text.contains('\0') {
        inbox_fields.add_violation(field_name, "This value should not contain the character NUL.");
    }
    Some(field_text)
}

fn is_uuid(text: &str) -> bool {
    text.len() == UUID_CHARS && Uuid::try_parse(text).is_ok()
}

fn validation_problem(violations: Vec<Violation>) -> Problem {
    let violations = problem::limit_violations(violations);
    let lines = violations.iter().map(|violation| format!("{}: {}", violation.field, violation.detail));
    let violation_lines = lines.collect::<Vec<_>>().join("\n");
    let inbox_violations: Vec<InboxViolation> = violations
        .into_iter()
        .map(|Violation { field, detail }| InboxViolation { property_path: field, title: detail })
        .collect();
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation-failed", "Validation Failed", violation_lines)
        .with_violations(inbox_violations)
}

fn accept_error_problem(error: &AcceptError) -> Problem {
    let property_path = match error {
        AcceptError::EmptyBody
        | AcceptError::InvalidBody
        | AcceptError::BodyTooLong(_)
        | AcceptError::TooManyParts { .. }
        | AcceptError::PushTooLong { .. }
        | AcceptError::InvalidSubject(_)
        | AcceptError::InvalidSender
        | AcceptError::SenderNotAllowed
        | AcceptError::ExpiresTooEarly => "message",
        AcceptError::NoRecipient
        | AcceptError::UnknownChannel(_)
        | AcceptError::InvalidAddress { .. }
        | AcceptError::InvalidContact { .. }
        | AcceptError::NoUsableContact { .. } => "userId",
        AcceptError::Suppressed(_)
        | AcceptError::Throttled { .. }
        | AcceptError::SpendingLimit { .. }
        | AcceptError::IdempotencyKeyReused
        | AcceptError::Store(_) => return problem::accept_error(error),
    };
    validation_problem(vec![Violation::new(property_path, errors::accept_error_message(error))])
}
