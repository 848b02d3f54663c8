//! Error responses of the APIs with problem documents, for the OpenAPI description.
//!
//! A handler lists those it can return. The simple and texting APIs describe their own envelopes beside their routes.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::problem::{PROBLEM_JSON, Violation};

type Responses = BTreeMap<String, RefOr<Response>>;

/// A problem document (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView {
    /// Relative reference that names the kind of problem.
    #[schema(example = "/problems/invalid")]
    r#type: String,
    /// The kind of problem as text.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Description of the error, with what would be valid.
    detail: String,
    /// The invalid fields, if the problem lies in the fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<Vec<Violation>>,
}

/// The API key is missing or unknown (401) or lacks the scope (403).
pub(crate) enum AuthErrorResponses {}

/// The query, the path or a header is not valid.
pub(crate) enum BadRequestResponses {}

/// The requested resource does not exist.
pub(crate) enum NotFoundResponses {}

/// The body is malformed, slow or too long.
pub(crate) enum BodyErrorResponses {}

/// The body is not JSON.
pub(crate) enum NotJsonResponses {}

/// The message is not accepted: its fields, its Idempotency-Key, its recipient or its user's limit.
pub(crate) enum AcceptErrorResponses {}

/// The store is unavailable, or there is a defect.
pub(crate) enum StoreErrorResponses {}

impl IntoResponses for AuthErrorResponses {
    fn responses() -> Responses {
        let challenge = header("WWW-Authenticate", Type::String, "How to send a key.");
        problem_responses([
            (401, "The API key is missing or unknown.", Some(challenge)),
            (403, "The API key lacks the required scope.", None),
        ])
    }
}

impl IntoResponses for BadRequestResponses {
    fn responses() -> Responses {
        problem_responses([(
            400,
            "The query, the path or a header is not valid; `detail` says which part.",
            None,
        )])
    }
}

impl IntoResponses for NotFoundResponses {
    fn responses() -> Responses {
        problem_responses([(404, "The path names something that does not exist.", None)])
    }
}

impl IntoResponses for BodyErrorResponses {
    fn responses() -> Responses {
        problem_responses([
            (400, "The body or a header is malformed.", None),
            (408, "The body did not arrive in time.", None),
            (413, "The body is too long.", None),
        ])
    }
}

impl IntoResponses for NotJsonResponses {
    fn responses() -> Responses {
        problem_responses([(415, "The Content-Type is not JSON.", None)])
    }
}

impl IntoResponses for AcceptErrorResponses {
    fn responses() -> Responses {
        problem_responses([
            (422, "A field, the recipient or the Idempotency-Key is not valid.", None),
            (
                429,
                "The hourly message limit of the user is reached; nothing was stored.",
                Some(retry_after_header()),
            ),
        ])
    }
}

impl IntoResponses for StoreErrorResponses {
    fn responses() -> Responses {
        problem_responses([
            (500, "Internal error; the log contains the cause.", None),
            (503, "The store is unavailable; nothing was changed.", Some(retry_after_header())),
        ])
    }
}

/// A response header and its name.
type NamedHeader = (&'static str, Header);

fn retry_after_header() -> NamedHeader {
    header("Retry-After", Type::Integer, "Seconds until a retry is useful.")
}

/// Describes a response header of this type.
pub(super) fn header(name: &'static str, kind: Type, meaning: &str) -> NamedHeader {
    let mut header = Header::new(ObjectBuilder::new().schema_type(kind).build());
    header.description = Some(meaning.to_owned());
    (name, header)
}

fn problem_responses<const N: usize>(errors: [(u16, &str, Option<NamedHeader>); N]) -> Responses {
    let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let described = errors.into_iter().map(|(status, meaning, header)| {
        let mut response = ResponseBuilder::new().description(meaning).content(PROBLEM_JSON, content());
        if let Some((name, header)) = header {
            response = response.header(name, header);
        }
        (status.to_string(), response.build().into())
    });
    described.collect()
}
