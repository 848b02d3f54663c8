//! The operator of a request: authorization of the operator's pages and forms, and their error pages.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};

use super::super::layout;
use crate::auth::{self, AuthError};
use crate::{body, form, session};
use postrider_core::error;
use postrider_core::request_origin;
use postrider_engine::gateway::Gateway;

/// An operator and the token of the forms on the page.
pub(super) struct Operator {
    /// Name of the API key; empty without configured keys.
    pub(super) name: String,
    /// Form token.
    pub(super) token: String,
}

/// The page that is shown instead of the requested one.
type ErrorPageResponse = Box<Response<Body>>;

/// The requested page, or an error page.
pub(super) type OperatePageResult<T = Response<Body>> = Result<T, ErrorPageResponse>;

/// Returns the page of either kind.
pub(super) fn into_page(page: OperatePageResult) -> Response<Body> {
    page.unwrap_or_else(|error_page| *error_page)
}

/// Turns an error into its error page.
pub(super) fn page_or_failure(page: error::Result<Response<Body>>) -> OperatePageResult {
    page.map_err(|error| Box::new(layout::failure_page(&error)))
}

/// Reads the body of a form.
pub(super) async fn read_form(
    gateway: &Gateway,
    headers: &HeaderMap,
    content: Body,
) -> OperatePageResult<Bytes> {
    let content = body::read(headers, content, &gateway.config.limits).await;
    content.map_err(|error| {
        Box::new(layout::error_page(error.status(), "The form cannot be read", &error.message()))
    })
}

impl Operator {
    /// Authorizes a request for a page. A browser without a key is redirected to the sign-in page.
    pub(super) fn from_page_request(
        gateway: &Gateway,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> OperatePageResult<Self> {
        let name = auth::authorize_operator(gateway, headers).map_err(|error| {
            let redirect = match error {
                AuthError::MissingKey => auth::sign_in_redirect(&Method::GET, uri, headers),
                _ => None,
            };
            Box::new(redirect.unwrap_or_else(|| auth_error_page(error)))
        })?;
        let token = session::form_token(gateway, &name, headers);
        Ok(Self { name, token })
    }

    /// Authorizes a form, which must carry a token that this gateway made for this operator.
    pub(super) fn from_form(gateway: &Gateway, headers: &HeaderMap, form: &[u8]) -> OperatePageResult<Self> {
        let name =
            auth::authorize_operator(gateway, headers).map_err(|error| Box::new(form_error_page(error)))?;
        let token = form::field(form, "token").unwrap_or_default().into_owned();
        if request_origin::is_cross_site(headers)
            || !session::is_valid_form_token(gateway, &name, headers, &token)
        {
            return Err(Box::new(layout::error_page(
                StatusCode::FORBIDDEN,
                "Form rejected",
                "It was sent by another site, or it is too old. Nothing was changed. Reload the page and try again.",
            )));
        }
        Ok(Self { name, token })
    }
}

/// Returns the page for a form without a valid session.
fn form_error_page(error: AuthError) -> Response<Body> {
    match error {
        AuthError::InsufficientScope(_) | AuthError::CrossSite => auth_error_page(error),
        AuthError::MissingKey | AuthError::UnknownKey => layout::error_page(
            StatusCode::UNAUTHORIZED,
            "You are not signed in any more",
            "Nothing was changed. Sign in at /sign-in and try again.",
        ),
    }
}

fn auth_error_page(error: AuthError) -> Response<Body> {
    match error {
        AuthError::InsufficientScope(_) => layout::error_page(
            StatusCode::FORBIDDEN,
            "This key lacks the scope admin",
            "These pages need a key with the scope admin. Sign in with another key at /sign-in.",
        ),
        AuthError::MissingKey | AuthError::UnknownKey | AuthError::CrossSite => auth::basic_challenge(error),
    }
}
