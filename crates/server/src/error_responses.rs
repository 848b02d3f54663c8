//! Error responses for the OpenAPI description: the sets with problem documents, and a macro for sets of other envelopes.
//!
//! A handler lists the sets that it can return.

use std::collections::BTreeMap;

use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr, Response, ResponseBuilder};

use crate::problem::PROBLEM_JSON;

/// Declares sets of error responses, which handlers name in `#[utoipa::path(responses(…))]`. Each set is an empty enum with
/// the name of its schema, its content type, and its statuses with meaning and header.
macro_rules! error_responses {
    ($($(#[$about:meta])* $Set:ident($schema:literal, $content_type:expr) {
        $($status:literal $meaning:literal $(with $header:expr)?;)+
    })+) => {$(
        $(#[$about])*
        pub(crate) enum $Set {}

        impl utoipa::IntoResponses for $Set {
            fn responses() -> $crate::error_responses::ResponsesByStatus {
                [$($crate::error_responses::error_response(
                    ($schema, $content_type), $status, $meaning, [$($header)?]
                )),+].into()
            }
        }
    )+};
}
pub(crate) use error_responses;

/// Responses by HTTP status.
pub(crate) type ResponsesByStatus = BTreeMap<String, RefOr<Response>>;

error_responses! {
    /// The API key is missing or unknown (401), lacks the scope (403), or comes after too many wrong ones (429).
    AuthErrorResponses("Problem", PROBLEM_JSON) {
        401 "The API key is missing or unknown."
            with header("WWW-Authenticate", Type::String, "How to send a key.");
        403 "The API key lacks the required scope.";
        429 "This address sent too many wrong API keys." with retry_after_header();
    }
    /// The query, the path or a header is not valid.
    BadRequestResponses("Problem", PROBLEM_JSON) {
        400 "The query, the path or a header is not valid; `detail` says which part.";
    }
    /// The requested resource does not exist.
    NotFoundResponses("Problem", PROBLEM_JSON) {
        404 "The path names something that does not exist.";
    }
    /// The body is malformed, slow or too long.
    BodyErrorResponses("Problem", PROBLEM_JSON) {
        400 "The body or a header is malformed.";
        408 "The body did not arrive in time.";
        413 "The body is too long.";
    }
    /// The body is not JSON.
    NotJsonResponses("Problem", PROBLEM_JSON) {
        415 "The Content-Type is not JSON.";
    }
    /// The message is not accepted: its fields, its Idempotency-Key, its recipient or a limit.
    AcceptErrorResponses("Problem", PROBLEM_JSON) {
        422 "A field, the recipient or the Idempotency-Key is not valid.";
        429 "The hourly message limit of the user or a spending limit of the API key is reached; nothing was stored."
            with retry_after_header();
    }
    /// A spending limit of the API key is reached.
    SpendingLimitResponses("Problem", PROBLEM_JSON) {
        429 "A spending limit of the API key is reached; nothing was stored." with retry_after_header();
    }
    /// The store is unavailable, or there is a defect.
    StoreErrorResponses("Problem", PROBLEM_JSON) {
        500 "Internal error; the log contains the cause.";
        503 "The store is unavailable; nothing was changed." with retry_after_header();
    }
}

/// A response header and its name.
type NamedHeader = (&'static str, Header);

/// Describes the `Retry-After` header.
pub(crate) fn retry_after_header() -> NamedHeader {
    header("Retry-After", Type::Integer, "Seconds until a retry is useful.")
}

/// Describes a response header.
pub(crate) fn header(name: &'static str, value_type: Type, meaning: &str) -> NamedHeader {
    let mut header = Header::new(Object::with_type(value_type));
    header.description = Some(meaning.to_owned());
    (name, header)
}

/// Describes an error response; `envelope` is the name of its schema and its content type.
pub(crate) fn error_response<const N: usize>(
    envelope: (&str, &str),
    status: u16,
    meaning: &str,
    headers: [NamedHeader; N],
) -> (String, RefOr<Response>) {
    let (schema, content_type) = envelope;
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    let response = ResponseBuilder::new().description(meaning).content(content_type, content);
    let response =
        headers.into_iter().fold(response, |response, (name, header)| response.header(name, header));
    (status.to_string(), response.build().into())
}
