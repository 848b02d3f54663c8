//! `/sign-in` and `/sign-out`: exchanges an API key for a session cookie.
//!
//! The cookie does not contain the key. Without configured keys there is no sign-in.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode, Uri};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};

use super::layout::{self, PageError, PageLayout};
use crate::denial::Denial;
use crate::peer::ClientAddress;
use crate::{auth, form, session};
use postrider_core::request_origin;
use postrider_engine::config::{ApiKey, Scope};
use postrider_engine::gateway::Gateway;
use postrider_engine::request_load::BodySender;

/// The page at `/sign-in`.
#[derive(Template)]
#[template(path = "sign_in.html", whitespace = "minimize")]
struct SignInPage {
    layout: PageLayout,
    next: String,
    /// Set if the submitted key is unknown or lacks the scope `read`.
    is_key_rejected: bool,
}

/// Returns the routes of sign-in and sign-out.
pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/sign-in", get(sign_in_form).post(sign_in)).route("/sign-out", post(sign_out))
}

async fn sign_in_form(State(gateway): State<Arc<Gateway>>, uri: Uri) -> Response<Body> {
    let next_path = form::field(uri.query().unwrap_or_default().as_bytes(), "next").unwrap_or_default();
    if gateway.api_keys().is_empty() {
        return session::see_other(session::local_path(&next_path));
    }
    sign_in_page(StatusCode::OK, &next_path, false)
}

fn sign_in_page(status: StatusCode, next: &str, is_key_rejected: bool) -> Response<Body> {
    let page = SignInPage {
        layout: PageLayout::new("Sign in", false, None),
        next: session::local_path(next).to_owned(),
        is_key_rejected,
    };
    layout::operator_page(status, &page).map_err(PageError::from).into_response()
}

async fn sign_in(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let (head, content) = request.into_parts();
    if request_origin::is_cross_site(&head.headers) {
        return cross_site_error();
    }
    let reading = layout::read_form(&gateway, &head.headers, content, BodySender::Unauthenticated);
    let sign_in_form = match reading.await {
        Ok(sign_in_form) => sign_in_form,
        Err(error_page) => return error_page,
    };
    let next_path = form::field(&sign_in_form, "next").unwrap_or_default();
    let secret = form::field(&sign_in_form, "key").unwrap_or_default();
    let client = head.extensions.get::<ClientAddress>();
    let allows_client = |key: &ApiKey| {
        client.map_or(key.account.networks.is_empty(), |client| key.account.allows_network(client.0))
    };
    match auth::find_key(&gateway, secret.trim().as_bytes()) {
        Some(api_key) if api_key.allows(Scope::Read) && allows_client(&api_key) => {
            start_session(&gateway, &api_key, session::local_path(&next_path)).await
        }
        found_key => {
            let mut page = sign_in_page(StatusCode::UNAUTHORIZED, &next_path, true);
            let denial = match found_key {
                None => Denial::UnknownKey,
                Some(key) if !allows_client(&key) => Denial::NetworkNotAllowed,
                Some(_) => Denial::InsufficientScope,
            };
            page.extensions_mut().insert(denial);
            page
        }
    }
}

async fn start_session(gateway: &Gateway, api_key: &ApiKey, next_path: &str) -> Response<Body> {
    match gateway.store.session_generation(&api_key.name).await {
        Ok(generation) => {
            log::info!("signed in: key={}", api_key.name);
            session::see_other_with_cookie(next_path, &session::sign_in_cookie(gateway, api_key, generation))
        }
        Err(error) => PageError::from(error).into_response(),
    }
}

/// Ends all sessions of the key of this session, in every browser and for every process, because a copied cookie would
/// otherwise stay valid.
async fn sign_out(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response<Body> {
    if request_origin::is_cross_site(&headers) {
        return cross_site_error();
    }
    if let Some(api_key) = session::session_key(&gateway, &headers) {
        if let Err(error) = gateway.store.end_sessions(&api_key.name).await {
            return PageError::from(error).into_response();
        }
        log::info!("signed out, all sessions of the key ended: key={}", api_key.name);
    }
    session::see_other_with_cookie("/sign-in", &session::sign_out_cookie(&gateway))
}

fn cross_site_error() -> Response<Body> {
    let mut page = layout::error_page(
        StatusCode::FORBIDDEN,
        "Form rejected",
        "It was sent by another site. Nothing was changed.",
    );
    page.extensions_mut().insert(Denial::CrossSite);
    page
}
