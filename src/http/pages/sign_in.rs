//! `/sign-in` and `/sign-out`: a browser shows its key once and gets a cookie that stands for it.
//!
//! The key itself is kept nowhere. Without configured keys there is nothing to sign in to.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode, Uri};
use axum::routing::{get, post};

use super::frame::{self, Frame};
use super::shown;
use crate::config::Scope;
use crate::gateway::Gateway;
use crate::http::{auth, body, form, session};
use crate::request_origin;

/// The page at `/sign-in`.
#[derive(Template)]
#[template(path = "sign_in.html", whitespace = "minimize")]
struct SignInPage {
    frame: Frame,
    next: String,
    /// The key that was shown opens nothing here.
    is_wrong: bool,
}

/// Where browsers come in and go out.
pub(in crate::http) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/sign-in", get(ask).post(sign_in))
        .route("/sign-out", post(sign_out))
}

async fn ask(State(gateway): State<Arc<Gateway>>, uri: Uri) -> Response<Body> {
    let next = form::field(uri.query().unwrap_or_default().as_bytes(), "next").unwrap_or_default();
    if gateway.config.keys.is_empty() {
        return session::see(session::own_path(&next));
    }
    page(StatusCode::OK, &next, false)
}

fn page(status: StatusCode, next: &str, is_wrong: bool) -> Response<Body> {
    let page = SignInPage {
        frame: Frame::new("Sign in", false, None),
        next: session::own_path(next).to_owned(),
        is_wrong,
    };
    shown(frame::operated(status, &page))
}

async fn sign_in(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let (head, content) = request.into_parts();
    let content = match body::read(&head.headers, content, &gateway.config.limits).await {
        Ok(content) => content,
        Err(trouble) => {
            return frame::missing(
                trouble.status(),
                "The form could not be read",
                &trouble.sentence(),
            );
        }
    };
    if request_origin::is_cross_site(&head.headers) {
        return foreign();
    }
    let next = form::field(&content, "next").unwrap_or_default();
    let secret = form::field(&content, "key").unwrap_or_default();
    match auth::key_of(&gateway, secret.trim()) {
        Some(key) if key.may(Scope::Read) => {
            session::see_with(session::own_path(&next), &session::opened(&gateway, key))
        }
        Some(_) | None => page(StatusCode::UNAUTHORIZED, &next, true),
    }
}

async fn sign_out(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response<Body> {
    if request_origin::is_cross_site(&headers) {
        return foreign();
    }
    session::see_with("/sign-in", &session::closed(&gateway))
}

fn foreign() -> Response<Body> {
    frame::missing(
        StatusCode::FORBIDDEN,
        "This form is not from here",
        "Another site has sent it. Nothing was changed.",
    )
}
