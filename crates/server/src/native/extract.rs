//! Types that the handlers of the native API share: their result, the parameters of their path, and the response to an
//! accepted request.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors;
use crate::problem::Problem;

/// Result of a handler: JSON, or a problem document.
pub(super) type JsonResult<T> = Result<Json<T>, Problem>;

/// The parameters of a path, percent-decoded: a string, or a tuple of strings. A path that is not valid UTF-8 is answered
/// with the 404 problem.
pub(super) struct PathParams<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(params)| Self(params)).map_err(|_| Problem::not_found("the path is not valid UTF-8"))
    }
}

/// Returns the response to a request that created the resource at `location`, or that repeats such a request.
pub(super) fn accepted_response(
    status: StatusCode,
    location: &str,
    view: impl Serialize,
    is_replay: bool,
) -> Response<Body> {
    let mut response = (status, [(LOCATION, location)], Json(view)).into_response();
    errors::mark_replayed(response.headers_mut(), is_replay);
    response
}
