//! The operator's pages: what is going on now, deliveries by search, and the few things that can be changed by hand.
//!
//! For keys with the scope `admin` alone. What changes something is a form with a token of this operator's own, asked
//! for once more before it is done where it cannot be taken back. Every page reads a bounded number of rows.

mod actions;
mod delivery_list;
mod live_updates;
mod overview;
mod search_query;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use self::live_updates::LiveUpdates;
use super::layout;
use super::report_cache::ReportCache;
use crate::auth::{self, AuthError};
use crate::{body, form, session};
use postrider_core::error::Result;
use postrider_core::report::Report;
use postrider_core::request_origin;
use postrider_engine::gateway::Gateway;
use postrider_engine::stop::StopSignal;

/// What the operator's pages share.
#[derive(Clone)]
struct OperateState {
    newest: Arc<ReportCache>,
    live: Arc<LiveUpdates>,
    stop: StopSignal,
}

/// Who asks, and what his forms carry.
struct Operator<'a> {
    /// The name of his key; empty where no keys are configured.
    name: &'a str,
    /// The token of his forms.
    token: String,
}

/// What somebody sees instead of what was asked for.
type ErrorPageResponse = Box<Response<Body>>;

type PageResult = std::result::Result<Response<Body>, ErrorPageResponse>;

/// `/operate` and what is below it.
pub(crate) fn routes(newest: &Arc<ReportCache>, stop: &StopSignal) -> Router<Arc<Gateway>> {
    let desk = OperateState {
        newest: Arc::clone(newest),
        live: Arc::default(),
        stop: stop.clone(),
    };
    Router::new()
        .route("/operate", get(overview))
        .route("/operate/messages", get(messages))
        .route("/operate/events", get(events))
        .route("/operate/confirm", post(confirm))
        .route("/operate/act", post(apply_action))
        .route("/operate/providers/{provider}/{word}", post(control_provider))
        .layer(axum::Extension(desk))
}

async fn overview(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(desk): axum::Extension<OperateState>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let reply = async {
        let operator = Operator::from_page_request(&gateway, &uri, &headers)?;
        let notice = actions::Notice::from_query(uri.query().unwrap_or_default());
        page_or_failure(overview::overview_page(&gateway, &desk, &operator, notice).await)
    };
    into_page(reply.await)
}

async fn messages(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(desk): axum::Extension<OperateState>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let reply = async {
        let operator = Operator::from_page_request(&gateway, &uri, &headers)?;
        let query = uri.query().unwrap_or_default();
        page_or_failure(delivery_list::delivery_list_page(&gateway, &desk, &operator, query).await)
    };
    into_page(reply.await)
}

async fn events(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(desk): axum::Extension<OperateState>,
    headers: HeaderMap,
) -> Response<Body> {
    match auth::authorize_operator(&gateway, &headers) {
        Ok(_) => live_updates::event_stream(&desk.live, &gateway, &desk.newest, desk.stop),
        // Without a password dialogue: nobody has clicked on anything.
        Err(denied) => denied.into_response(),
    }
}

async fn confirm(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(desk): axum::Extension<OperateState>,
    request: Request<Body>,
) -> Response<Body> {
    let reply = async {
        let (head, content) = request.into_parts();
        let form = read_form(&gateway, &head.headers, content).await?;
        let operator = Operator::from_form(&gateway, &head.headers, &form)?;
        page_or_failure(actions::confirm(&gateway, &desk, &operator, &form).await)
    };
    into_page(reply.await)
}

async fn apply_action(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let reply = async {
        let (head, content) = request.into_parts();
        let form = read_form(&gateway, &head.headers, content).await?;
        let operator = Operator::from_form(&gateway, &head.headers, &form)?;
        page_or_failure(actions::apply_action(&gateway, &operator, &form).await)
    };
    into_page(reply.await)
}

async fn control_provider(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(desk): axum::Extension<OperateState>,
    Path((provider, word)): Path<(String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    let reply = async {
        let (head, content) = request.into_parts();
        let form = read_form(&gateway, &head.headers, content).await?;
        let operator = Operator::from_form(&gateway, &head.headers, &form)?;
        let done = actions::control_provider(&gateway, &operator, &provider, &word).await;
        desk.live.invalidate().await;
        page_or_failure(done)
    };
    into_page(reply.await)
}

async fn read_form(
    gateway: &Gateway,
    headers: &HeaderMap,
    content: Body,
) -> std::result::Result<Bytes, ErrorPageResponse> {
    let content = body::read(headers, content, &gateway.config.limits).await;
    content.map_err(|trouble| {
        let sentence = trouble.message();
        let page = layout::error_page(trouble.status(), "The form could not be read", &sentence);
        Box::new(page)
    })
}

fn into_page(reply: PageResult) -> Response<Body> {
    reply.unwrap_or_else(|instead| *instead)
}

fn page_or_failure(page: Result<Response<Body>>) -> PageResult {
    page.map_err(|error| Box::new(layout::failure_page(&error)))
}

impl<'a> Operator<'a> {
    /// Whoever asks for a page; a browser without a key is sent to the page where it signs in.
    fn from_page_request(
        gateway: &'a Gateway,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> std::result::Result<Self, ErrorPageResponse> {
        let name = match auth::authorize_operator(gateway, headers) {
            Ok(name) => name,
            Err(AuthError::MissingKey) => {
                let way_in = auth::sign_in_redirect(&Method::GET, uri, headers);
                return Err(Box::new(
                    way_in.unwrap_or_else(|| auth_error_page(AuthError::MissingKey)),
                ));
            }
            Err(denied) => return Err(Box::new(auth_error_page(denied))),
        };
        let token = session::form_token(gateway, name, headers);
        Ok(Self { name, token })
    }

    /// Whoever sends a form that only our own pages hold.
    fn from_form(
        gateway: &'a Gateway,
        headers: &HeaderMap,
        form: &[u8],
    ) -> std::result::Result<Self, ErrorPageResponse> {
        let name =
            auth::authorize_operator(gateway, headers).map_err(|denied| Box::new(signed_out_page(denied)))?;
        let token = form::field(form, "token").unwrap_or_default().into_owned();
        if request_origin::is_cross_site(headers)
            || !session::is_valid_form_token(gateway, name, headers, &token)
        {
            return Err(Box::new(layout::error_page(
                StatusCode::FORBIDDEN,
                "This form is not from here, or too old",
                "Nothing was changed. Load the page anew and try again.",
            )));
        }
        Ok(Self { name, token })
    }
}

/// A form came without a session, or with one that has ended.
fn signed_out_page(denied: AuthError) -> Response<Body> {
    match denied {
        AuthError::InsufficientScope(_) | AuthError::CrossSite => auth_error_page(denied),
        AuthError::MissingKey | AuthError::UnknownKey => layout::error_page(
            StatusCode::UNAUTHORIZED,
            "You are not signed in any more",
            "Nothing was changed. Sign in at /sign-in and try again.",
        ),
    }
}

fn auth_error_page(denied: AuthError) -> Response<Body> {
    match denied {
        AuthError::InsufficientScope(_) => layout::error_page(
            StatusCode::FORBIDDEN,
            "This key is not an operator's",
            "These pages are for keys with the scope admin. Sign in with another one at /sign-in.",
        ),
        AuthError::MissingKey | AuthError::UnknownKey | AuthError::CrossSite => auth::basic_challenge(denied),
    }
}

/// The newest report, where there is one.
async fn newest_report(gateway: &Gateway, newest: &ReportCache) -> Option<Report> {
    newest
        .report_if_known(gateway)
        .await
        .map(|kept| kept.report.clone())
}
