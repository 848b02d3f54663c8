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

use super::describe::{Denied, Failed, InboxMessage, NotJson, Refused as NotTaken, Unread};
use super::problem::{self, PROBLEM_JSON, Problem};
use super::{auth, body, refusal};
use crate::config::Scope;
use crate::domain::recipient::AddressKind;
use crate::flow::accept::{self, Accepted, Refused};
use crate::gateway::Gateway;

/// The longest message, in characters.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// The length of a UUID as this wire writes it, with hyphens.
const UUID_CHARS: usize = 36;

/// The shortest and the longest contact, in characters.
const EMAIL_CHARS: [usize; 2] = [3, 255];
const PHONE_CHARS: [usize; 2] = [3, 50];
const TOKEN_CHARS: [usize; 2] = [3, 255];

/// What the face says of itself.
#[derive(OpenApi)]
#[openapi(paths(send))]
pub(super) struct Described;

/// Where the face is.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/inbox/send", post(send))
        .method_not_allowed_fallback(problem::wrong_method)
}

/// A message that is on disk.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxTaken)]
struct Taken {
    /// Always `success`.
    status: &'static str,
    /// What to call it by.
    data: Number,
}

/// A message's running number.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxNumber)]
struct Number {
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
        (status = 201, description = "The message is on disk.", body = Taken),
        Denied, Unread, NotJson, NotTaken, Failed,
        (status = 422, description = "The message cannot be taken as it is: its fields, its recipient or its key.",
            body = InvalidView, content_type = PROBLEM_JSON),
    )
)]
async fn send(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    match taken(&gateway, request).await {
        Ok(accepted) => {
            let taken = Taken {
                status: "success",
                data: Number { id: accepted.number },
            };
            let mut response = (StatusCode::CREATED, Json(taken)).into_response();
            refusal::mark_replayed(response.headers_mut(), accepted.replayed);
            response
        }
        Err(response) => *response,
    }
}

async fn taken(gateway: &Gateway, request: Request<Body>) -> Result<Accepted, Box<Response<Body>>> {
    let (head, content) = request.into_parts();
    let caller =
        auth::caller(gateway, &head.headers, Scope::Send).map_err(|denied| boxed(denied.into_response()))?;
    let object = body::json_object(gateway, &head.headers, content)
        .await
        .map_err(|problem| boxed(problem.into_response()))?;
    let mut wanted =
        read(gateway, &object).map_err(|violations| boxed(invalid(&violations).into_response()))?;
    caller.clone_into(&mut wanted.caller);
    let written = || Value::Object(object).to_string();
    wanted.key = refusal::request_key(&head.headers, "inbox", caller, written)
        .map_err(|sentence| boxed(problem::bad_key(sentence).into_response()))?;
    accept::accept(gateway, wanted)
        .await
        .map_err(|refused| boxed(refusal_problem(&refused).into_response()))
}

fn boxed(response: Response<Body>) -> Box<Response<Body>> {
    Box::new(response)
}

/// What a client of this face is told of one field.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InboxViolation)]
struct Violation {
    /// The field.
    property_path: &'static str,
    /// What is wrong with it.
    title: String,
}

/// What is wrong, with every violation.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxProblem)]
struct InvalidView {
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
    violations: Option<Vec<Violation>>,
}

/// The request over every used channel, or everything that is wrong with it.
fn read(gateway: &Gateway, object: &Map<String, Value>) -> Result<accept::Request, Vec<Violation>> {
    let mut fields = Fields {
        object,
        violations: Vec::new(),
    };
    let user = fields.user();
    let message = fields.required("message", [1, MESSAGE_CHARS_MAX]);
    let email = fields.optional("email", EMAIL_CHARS);
    let phone = fields.optional("phoneNumber", PHONE_CHARS);
    let token = fields.optional("pushToken", TOKEN_CHARS);
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
    Ok(accept::Request {
        over: used.map(ToString::to_string).collect(),
        contacts: contacts.collect(),
        missing: accept::Missing::FailAlone,
        body: message.unwrap_or_default().to_owned(),
        user: user.map(str::to_owned),
        ..accept::Request::default()
    })
}

struct Fields<'a> {
    object: &'a Map<String, Value>,
    violations: Vec<Violation>,
}

impl<'a> Fields<'a> {
    fn wrong(&mut self, property_path: &'static str, title: impl Into<String>) -> Option<&'a str> {
        let title = title.into();
        self.violations.push(Violation { property_path, title });
        None
    }

    fn user(&mut self) -> Option<&'a str> {
        match self.object.get("userId") {
            Some(Value::String(text)) if !text.is_empty() && !is_uuid(text) => {
                self.wrong("userId", "This is not a valid UUID.")
            }
            _ => self.required("userId", [UUID_CHARS; 2]),
        }
    }

    fn required(&mut self, name: &'static str, chars: [usize; 2]) -> Option<&'a str> {
        match self.object.get(name) {
            None | Some(Value::Null) => self.wrong(name, "This value should not be blank."),
            Some(Value::String(text)) if text.is_empty() => {
                self.wrong(name, "This value should not be blank.")
            }
            Some(_) => self.optional(name, chars),
        }
    }

    fn optional(&mut self, name: &'static str, [least, most]: [usize; 2]) -> Option<&'a str> {
        let text = match self.object.get(name)? {
            Value::Null => return None,
            Value::String(text) => text,
            _ => return self.wrong(name, "This value should be of type string."),
        };
        let count = text.chars().count();
        if count < least {
            let title = format!("This value is too short. It should have {least} characters or more.");
            return self.wrong(name, title);
        }
        if count > most {
            let title = format!("This value is too long. It should have {most} characters or less.");
            return self.wrong(name, title);
        }
        if text.contains('\0') {
            return self.wrong(name, "This value should not contain the character NUL.");
        }
        Some(text)
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == UUID_CHARS && Uuid::try_parse(text).is_ok()
}

fn invalid(violations: &[Violation]) -> Problem {
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

fn refusal_problem(refused: &Refused) -> Problem {
    let property_path = match refused {
        Refused::EmptyBody
        | Refused::UnsendableBody
        | Refused::LongBody(_)
        | Refused::BadSubject(_)
        | Refused::ExpiresTooEarly => "message",
        Refused::NoRecipient
        | Refused::UnknownChannel(_)
        | Refused::BadAddress { .. }
        | Refused::BadContact { .. }
        | Refused::NoAddress { .. } => "userId",
        Refused::Suppressed | Refused::Throttled { .. } | Refused::KeyReused | Refused::Store(_) => {
            return problem::of_refusal(refused);
        }
    };
    let title = refusal::sentence(refused);
    invalid(&[Violation { property_path, title }])
}
