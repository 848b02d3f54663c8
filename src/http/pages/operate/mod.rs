//! The operator's pages: what is going on now, deliveries by search, and the few things that can be changed by hand.
//!
//! For keys with the scope `admin` alone. What changes something is a form with a token of this operator's own, asked
//! for once more before it is done where it cannot be taken back. Every page reads a bounded number of rows.

mod act;
mod list;
mod live;
mod overview;
mod query;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use self::live::Live;
use super::frame;
use super::newest::Newest;
use crate::domain::report::Report;
use crate::error::Result;
use crate::flow::work::Stop;
use crate::gateway::Gateway;
use crate::http::auth::{self, Denied};
use crate::http::{body, form, session};
use crate::request_origin;

/// What the operator's pages share.
#[derive(Clone)]
struct Desk {
    newest: Arc<Newest>,
    live: Arc<Live>,
    stop: Stop,
}

/// Who asks, and what his forms carry.
struct Operator<'a> {
    /// The name of his key; empty where no keys are configured.
    name: &'a str,
    /// The token of his forms.
    token: String,
}

/// What somebody sees instead of what was asked for.
type Instead = Box<Response<Body>>;

type Reply = std::result::Result<Response<Body>, Instead>;

/// `/operate` and what is below it.
pub(in crate::http) fn routes(newest: &Arc<Newest>, stop: &Stop) -> Router<Arc<Gateway>> {
    let desk = Desk {
        newest: Arc::clone(newest),
        live: Arc::default(),
        stop: stop.clone(),
    };
    Router::new()
        .route("/operate", get(overview))
        .route("/operate/messages", get(messages))
        .route("/operate/events", get(events))
        .route("/operate/confirm", post(confirm))
        .route("/operate/act", post(act))
        .route("/operate/providers/{provider}/{word}", post(order))
        .layer(axum::Extension(desk))
}

async fn overview(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(desk): axum::Extension<Desk>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let reply = async {
        let operator = Operator::of_page(&gateway, &uri, &headers)?;
        let notice = act::Notice::read(uri.query().unwrap_or_default());
        shown(overview::page(&gateway, &desk, &operator, notice).await)
    };
    either(reply.await)
}

async fn messages(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(desk): axum::Extension<Desk>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let reply = async {
        let operator = Operator::of_page(&gateway, &uri, &headers)?;
        let query = uri.query().unwrap_or_default();
        shown(list::page(&gateway, &desk, &operator, query).await)
    };
    either(reply.await)
}

async fn events(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(desk): axum::Extension<Desk>,
    headers: HeaderMap,
) -> Response<Body> {
    match auth::operator(&gateway, &headers) {
        Ok(_) => live::stream(&desk.live, &gateway, &desk.newest, desk.stop),
        // Without a password dialogue: nobody has clicked on anything.
        Err(denied) => denied.into_response(),
    }
}

async fn confirm(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(desk): axum::Extension<Desk>,
    request: Request<Body>,
) -> Response<Body> {
    let reply = async {
        let (head, content) = request.into_parts();
        let form = read(&gateway, &head.headers, content).await?;
        let operator = Operator::of_form(&gateway, &head.headers, &form)?;
        shown(act::confirm(&gateway, &desk, &operator, &form).await)
    };
    either(reply.await)
}

async fn act(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let reply = async {
        let (head, content) = request.into_parts();
        let form = read(&gateway, &head.headers, content).await?;
        let operator = Operator::of_form(&gateway, &head.headers, &form)?;
        shown(act::act(&gateway, &operator, &form).await)
    };
    either(reply.await)
}

async fn order(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(desk): axum::Extension<Desk>,
    Path((provider, word)): Path<(String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    let reply = async {
        let (head, content) = request.into_parts();
        let form = read(&gateway, &head.headers, content).await?;
        let operator = Operator::of_form(&gateway, &head.headers, &form)?;
        let done = act::order(&gateway, &operator, &provider, &word).await;
        desk.live.forget().await;
        shown(done)
    };
    either(reply.await)
}

async fn read(gateway: &Gateway, headers: &HeaderMap, content: Body) -> std::result::Result<Bytes, Instead> {
    let content = body::read(headers, content, &gateway.config.limits).await;
    content.map_err(|trouble| {
        let sentence = trouble.sentence();
        let page = frame::missing(trouble.status(), "The form could not be read", &sentence);
        Box::new(page)
    })
}

fn either(reply: Reply) -> Response<Body> {
    reply.unwrap_or_else(|instead| *instead)
}

fn shown(page: Result<Response<Body>>) -> Reply {
    page.map_err(|error| Box::new(frame::sorry(&error)))
}

impl<'a> Operator<'a> {
    /// Whoever asks for a page; a browser without a key is sent to the page where it signs in.
    fn of_page(gateway: &'a Gateway, uri: &Uri, headers: &HeaderMap) -> std::result::Result<Self, Instead> {
        let name = match auth::operator(gateway, headers) {
            Ok(name) => name,
            Err(Denied::Missing) => {
                let way_in = auth::way_in(&Method::GET, uri, headers);
                return Err(Box::new(way_in.unwrap_or_else(|| refused(Denied::Missing))));
            }
            Err(denied) => return Err(Box::new(refused(denied))),
        };
        let token = session::token(gateway, name, headers);
        Ok(Self { name, token })
    }

    /// Whoever sends a form that only our own pages hold.
    fn of_form(gateway: &'a Gateway, headers: &HeaderMap, form: &[u8]) -> std::result::Result<Self, Instead> {
        let name = auth::operator(gateway, headers).map_err(|denied| Box::new(signed_out(denied)))?;
        let token = form::field(form, "token").unwrap_or_default().into_owned();
        if request_origin::is_cross_site(headers) || !session::is_ours(gateway, name, headers, &token) {
            return Err(Box::new(frame::missing(
                StatusCode::FORBIDDEN,
                "This form is not from here, or too old",
                "Nothing was changed. Load the page anew and try again.",
            )));
        }
        Ok(Self { name, token })
    }
}

/// A form came without a session, or with one that has ended.
fn signed_out(denied: Denied) -> Response<Body> {
    match denied {
        Denied::Scope(_) | Denied::CrossSite => refused(denied),
        Denied::Missing | Denied::Unknown => frame::missing(
            StatusCode::UNAUTHORIZED,
            "You are not signed in any more",
            "Nothing was changed. Sign in at /sign-in and try again.",
        ),
    }
}

fn refused(denied: Denied) -> Response<Body> {
    match denied {
        Denied::Scope(_) => frame::missing(
            StatusCode::FORBIDDEN,
            "This key is not an operator's",
            "These pages are for keys with the scope admin. Sign in with another one at /sign-in.",
        ),
        Denied::Missing | Denied::Unknown | Denied::CrossSite => auth::ask_browser(denied),
    }
}

/// The newest report, where there is one.
async fn report(gateway: &Gateway, newest: &Newest) -> Option<Report> {
    newest.known(gateway).await.map(|kept| kept.report.clone())
}
