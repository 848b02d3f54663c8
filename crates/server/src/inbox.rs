//! The inbox face: `POST /inbox/send`, one message over every used channel.
//!
//! Errors are problem documents; what is wrong with the fields is listed all at once, by `propertyPath`, in the
//! sentences that this wire's clients know. A contact that is missing or wrong fails its own channel later, never the
//! request.

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

use super::openapi::{
    AcceptErrorResponses as NotTaken, AuthErrorResponses, BodyErrorResponses, InboxMessage, NotJsonResponses,
    StoreErrorResponses,
};
use super::problem::{self, PROBLEM_JSON, Problem};
use super::{auth, body, errors};
use postrider_core::address::AddressKind;
use postrider_engine::accept::{self, AcceptError, Accepted};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;

/// The longest message, in characters.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// The length of a UUID as this wire writes it, with hyphens.
const UUID_CHARS: usize = 36;

/// The shortest and the longest contact, in characters.
const EMAIL_CHARS: [usize; 2] = [3, 255];
const PHONE_CHARS: [usize; 2] = [3, 50];
const PUSH_TOKEN_CHARS: [usize; 2] = [3, 255];

/// What the face says of itself.
#[derive(OpenApi)]
#[openapi(paths(send))]
pub(super) struct InboxApiDoc;

/// Where the face is.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/inbox/send", post(send))
        .method_not_allowed_fallback(problem::method_not_allowed)
}

/// A message that is on disk.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxTaken)]
struct InboxAccepted {
    /// Always `success`.
    status: &'static str,
    /// What to call it by.
    data: InboxAcceptedData,
}

/// A message's running number.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxNumber)]
struct InboxAcceptedData {
    /// The number.
    id: i64,
}

/// Takes one message in, over every used channel.
///
/// A contact that is missing or wrong fails its own channel later, never the request.
#[utoipa::path(
    post,
    path = "/inbox/send",
    operation_id = "send_to_inbox",
    tag = "inbox",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's name for this request.",
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body(content = InboxMessage, content_type = "application/json"),
    responses(
        (status = 201, description = "The message is on disk.", body = InboxAccepted),
        AuthErrorResponses, BodyErrorResponses, NotJsonResponses, NotTaken, StoreErrorResponses,
        (status = 422, description = "The message cannot be taken as it is: its fields, its recipient or its key.",
            body = InboxProblem, content_type = PROBLEM_JSON),
    )
)]
async fn send(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    match accept_message(&gateway, request).await {
        Ok(accepted) => {
            let taken = InboxAccepted {
                status: "success",
                data: InboxAcceptedData { id: accepted.number },
            };
            let mut response = (StatusCode::CREATED, Json(taken)).into_response();
            errors::mark_replayed(response.headers_mut(), accepted.is_replay);
            response
        }
        Err(response) => *response,
    }
}

async fn accept_message(gateway: &Gateway, request: Request<Body>) -> Result<Accepted, Box<Response<Body>>> {
    let (head, content) = request.into_parts();
    let caller = auth::authorize(gateway, &head.headers, Scope::Send)
        .map_err(|denied| boxed(denied.into_response()))?;
    let object = body::json_object(gateway, &head.headers, content)
        .await
        .map_err(|problem| boxed(problem.into_response()))?;
    let mut wanted = parse_request(gateway, &object)
        .map_err(|violations| boxed(validation_problem(&violations).into_response()))?;
    caller.clone_into(&mut wanted.api_key_name);
    let written = || Value::Object(object).to_string();
    wanted.idempotency_key = errors::read_idempotency_key(&head.headers, "inbox", caller, written)
        .map_err(|sentence| boxed(problem::invalid_idempotency_key(sentence).into_response()))?;
    accept::accept(gateway, wanted)
        .await
        .map_err(|refused| boxed(accept_error_problem(&refused).into_response()))
}

fn boxed(response: Response<Body>) -> Box<Response<Body>> {
    Box::new(response)
}

/// What a client of this face is told of one field.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InboxViolation)]
struct InboxViolation {
    /// The field.
    property_path: &'static str,
    /// What is wrong with it.
    title: String,
}

/// What is wrong, with every violation.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxProblem)]
struct InboxProblem {
    /// A relative reference that names the kind of problem.
    r#type: String,
    /// The kind of problem, for people.
    title: String,
    /// The HTTP status once more.
    status: u16,
    /// All violations as text.
    detail: String,
    /// Everything that is wrong with the fields, where it is they.
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<Vec<InboxViolation>>,
}

/// The request over every used channel, or everything that is wrong with it.
fn parse_request(
    gateway: &Gateway,
    object: &Map<String, Value>,
) -> Result<accept::AcceptRequest, Vec<InboxViolation>> {
    let mut fields = InboxFields {
        object,
        violations: Vec::new(),
    };
    let user = fields.user_id();
    let message = fields.required_text("message", [1, MESSAGE_CHARS_MAX]);
    let email = fields.optional_text("email", EMAIL_CHARS);
    let phone = fields.optional_text("phoneNumber", PHONE_CHARS);
    let token = fields.optional_text("pushToken", PUSH_TOKEN_CHARS);
    if !fields.violations.is_empty() {
        return Err(fields.violations);
    }
    let contacts = [
        (AddressKind::Phone, phone),
        (AddressKind::Email, email),
        (AddressKind::Push, token),
    ];
    let contacts = contacts
        .into_iter()
        .filter_map(|(kind, typed)| Some((kind, typed?.to_owned())));
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

    fn optional_text(&mut self, name: &'static str, [least, most]: [usize; 2]) -> Option<&'a str> {
        let text = match self.object.get(name)? {
            Value::Null => return None,
            Value::String(text) => text,
            _ => return self.add_violation(name, "This value should be of type string."),
        };
        let count = text.chars().count();
        if count < least {
            let title = format!("This value is too short. It should have {least} characters or more.");
            return self.add_violation(name, title);
        }
        if count > most {
            let title = format!("This value is too long. It should have {most} characters or less.");
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
    let sentences = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.property_path, violation.title));
    let detail = sentences.collect::<Vec<_>>().join("\n");
    let listed = serde_json::to_value(violations).unwrap_or_default();
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "validation-failed",
        "Validation Failed",
        detail,
    )
    .with("violations", listed)
}

fn accept_error_problem(refused: &AcceptError) -> Problem {
    let property_path = match refused {
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
            return problem::accept_error(refused);
        }
    };
    let title = errors::accept_error_message(refused);
    validation_problem(&[InboxViolation { property_path, title }])
}
