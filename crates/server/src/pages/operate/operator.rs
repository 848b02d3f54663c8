//! Extractors of the operator's pages: the authorized operator of a page, or of a form.
//!
//! A rejected request gets another page: the sign-in page, a password dialogue, or an error page.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, StatusCode};

use super::super::layout;
use crate::auth::{self, AuthError};
use crate::{form, session};
use postrider_core::request_origin;
use postrider_engine::gateway::Gateway;
use postrider_engine::request_load::BodySender;

/// The operator of a page and the token of its forms.
pub(super) struct Operator {
    /// Name of the API key; empty without configured keys.
    pub(super) name: String,
    /// Form token.
    pub(super) token: String,
}

/// A form whose token this gateway made for its operator.
pub(super) struct OperatorForm {
    pub(super) operator: Operator,
    /// Fields of the form, URL-encoded.
    pub(super) form: Bytes,
}

impl FromRequestParts<Arc<Gateway>> for Operator {
    type Rejection = Response<Body>;

    /// Authorizes a request for a page. A browser without a key is redirected to the sign-in page.
    async fn from_request_parts(head: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Response<Body>> {
        let headers = &head.headers;
        let operator_name = auth::authorize_operator(gateway, headers).map_err(|error| {
            let redirect = match error {
                AuthError::MissingKey => auth::sign_in_redirect(&Method::GET, &head.uri, headers),
                _ => None,
            };
            redirect.unwrap_or_else(|| auth_error_page(error))
        })?;
        let token = session::form_token(gateway, &operator_name, headers);
        Ok(Self { name: operator_name, token })
    }
}

impl FromRequest<Arc<Gateway>> for OperatorForm {
    type Rejection = Response<Body>;

    async fn from_request(request: Request<Body>, gateway: &Arc<Gateway>) -> Result<Self, Response<Body>> {
        let (head, content) = request.into_parts();
        let headers = &head.headers;
        let operator_name = auth::authorize_operator(gateway, headers).map_err(form_error_page)?;
        let operator_form = layout::read_form(gateway, headers, content, BodySender::Authenticated).await?;
        let token = form::field(&operator_form, "token").unwrap_or_default().into_owned();
        if request_origin::is_cross_site(headers)
            || !session::is_valid_form_token(gateway, &operator_name, headers, &token)
        {
            return Err(layout::error_page(
                StatusCode::FORBIDDEN,
                "Form rejected",
                "It was sent by another site, or it is too old. Nothing was changed. Reload the page and try again.",
            ));
        }
        Ok(Self { operator: Operator { name: operator_name, token }, form: operator_form })
    }
}

/// Returns the page for a form without a valid session.
fn form_error_page(error: AuthError) -> Response<Body> {
    let mut page = match error {
        AuthError::InsufficientScope(_) | AuthError::CrossSite | AuthError::NetworkNotAllowed => {
            auth_error_page(error)
        }
        AuthError::MissingKey | AuthError::UnknownKey => layout::error_page(
            StatusCode::UNAUTHORIZED,
            "You are not signed in any more",
            "Nothing was changed. Sign in at /sign-in and try again.",
        ),
    };
    page.extensions_mut().insert(error.denial());
    page
}

fn auth_error_page(error: AuthError) -> Response<Body> {
    let mut page = match error {
        AuthError::InsufficientScope(_) => layout::error_page(
            StatusCode::FORBIDDEN,
            "This key lacks the scope admin",
            "These pages need a key with the scope admin. Sign in with another key at /sign-in.",
        ),
        AuthError::MissingKey
        | AuthError::UnknownKey
        | AuthError::CrossSite
        | AuthError::NetworkNotAllowed => auth::basic_challenge(error),
    };
    page.extensions_mut().insert(error.denial());
    page
}
