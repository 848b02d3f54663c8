//! Result type and path extractors of the handlers of the native API.
//!
//! A path that is not valid UTF-8 is answered with the 404 problem.

use axum::Json;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::{Problem, Violation};

/// Result of a handler: JSON, or a problem document.
pub(super) type JsonResult<T> = Result<Json<T>, Problem>;

/// The only parameter of a path, percent-decoded.
pub(super) struct PathSegment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathSegment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        path(parts, state).await.map(Self)
    }
}

/// The two parameters of a path, percent-decoded.
pub(super) struct PathSegments(pub(super) String, pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathSegments {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        path(parts, state).await.map(|(first, second)| Self(first, second))
    }
}

async fn path<T: DeserializeOwned + Send, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<T, Problem> {
    Path::<T>::from_request_parts(parts, state)
        .await
        .map(|Path(segments)| segments)
        .map_err(|_| Problem::not_found("the path is not valid UTF-8"))
}

/// Returns the 422 problem for a body with invalid fields.
pub(super) fn invalid_fields(violations: &[Violation]) -> Problem {
    Problem::invalid(StatusCode::UNPROCESSABLE_ENTITY, violations)
}
