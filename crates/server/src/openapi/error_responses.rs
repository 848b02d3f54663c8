//! The ways in which requests fail, for the description: each with its form and the headers that come with it.
//!
//! A handler lists those it has. The faces with envelopes of their own describe their errors beside their routes.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::problem::{PROBLEM_JSON, Violation};

type Responses = BTreeMap<String, RefOr<Response>>;

/// What is wrong, and what to do about it (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView {
    /// A relative reference that names the kind of problem.
    #[schema(example = "/problems/invalid")]
    r#type: String,
    /// The kind of problem, for people.
    title: String,
    /// The HTTP status once more.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time and what would be right.
    detail: String,
    /// Everything that is wrong with the fields, where it is they.
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<Vec<Violation>>,
}

/// The key is missing, unknown (401) or has not the scope (403).
pub(crate) enum AuthErrorResponses {}

/// The query, the path or a header cannot be read.
pub(crate) enum BadRequestResponses {}

/// What was asked for is not there.
pub(crate) enum NotFoundResponses {}

/// The body cannot be read: broken, slow, long.
pub(crate) enum BodyErrorResponses {}

/// The body is of another type than JSON.
pub(crate) enum NotJsonResponses {}

/// The message is not taken: its fields, its key, its recipient or its user's limit.
pub(crate) enum AcceptErrorResponses {}

/// The store is away, or something is broken.
pub(crate) enum StoreErrorResponses {}

impl IntoResponses for AuthErrorResponses {
    fn responses() -> Responses {
        let challenged = header("WWW-Authenticate", Type::String, "How to send a key.");
        problem_responses([
            (
                401,
                "No API key came with the request, or nobody knows it.",
                Some(challenged),
            ),
            (403, "The API key does not open this door.", None),
        ])
    }
}

impl IntoResponses for BadRequestResponses {
    fn responses() -> Responses {
        problem_responses([(
            400,
            "A part of the request cannot be read; the problem says which.",
            None,
        )])
    }
}

impl IntoResponses for NotFoundResponses {
    fn responses() -> Responses {
        problem_responses([(404, "What the path names is not there.", None)])
    }
}

impl IntoResponses for BodyErrorResponses {
    fn responses() -> Responses {
        problem_responses([
            (400, "The body, or a header, cannot be read.", None),
            (408, "The body did not arrive in time.", None),
            (413, "The body is longer than is taken.", None),
        ])
    }
}

impl IntoResponses for NotJsonResponses {
    fn responses() -> Responses {
        problem_responses([(415, "The body is not said to be JSON.", None)])
    }
}

impl IntoResponses for AcceptErrorResponses {
    fn responses() -> Responses {
        problem_responses([
            (
                422,
                "The message cannot be taken as it is: its fields, its recipient or its key.",
                None,
            ),
            (
                429,
                "The user has had as many messages as an hour allows; nothing was stored.",
                Some(retry_after_header()),
            ),
        ])
    }
}

impl IntoResponses for StoreErrorResponses {
    fn responses() -> Responses {
        problem_responses([
            (
                500,
                "Something broke inside; the operator finds the reason in the log.",
                None,
            ),
            (
                503,
                "The store is out of reach; nothing was changed.",
                Some(retry_after_header()),
            ),
        ])
    }
}

/// A header of a response.
type NamedHeader = (&'static str, Header);

/// The header that says when to come back.
pub(super) fn retry_after_header() -> NamedHeader {
    header(
        "Retry-After",
        Type::Integer,
        "After how many seconds to ask again.",
    )
}

/// A header of that type.
pub(super) fn header(name: &'static str, kind: Type, meaning: &str) -> NamedHeader {
    let mut header = Header::new(ObjectBuilder::new().schema_type(kind).build());
    header.description = Some(meaning.to_owned());
    (name, header)
}

fn problem_responses<const N: usize>(of: [(u16, &str, Option<NamedHeader>); N]) -> Responses {
    let content = || {
        ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .build()
    };
    let described = of.into_iter().map(|(status, meaning, header)| {
        let mut response = ResponseBuilder::new()
            .description(meaning)
            .content(PROBLEM_JSON, content());
        if let Some((name, header)) = header {
            response = response.header(name, header);
        }
        (status.to_string(), response.build().into())
    });
    described.collect()
}
