//! The sandbox server: imitates providers on their own HTTP APIs, with receipts, random failures and injected faults.
//!
//! Each provider API has its own file: `simple`, `texting`, `twilio`. The server shares only the wire formats with the
//! gateway, and no store, queue or adapter code, so that it can find faults in the adapters.

mod api;
mod call_result;
mod config_toml;
mod control;
mod counters;
mod dispatch;
mod faults;
mod http_response;
mod listen;
mod options;
mod receipt_sender;
mod server;
mod simple;
mod test_numbers;
mod texting;
mod twilio;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::routing::{get, post};
use axum::{Router, response::Response};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch};

use api::{SandboxApi, SandboxResponse};
use postrider_core::request_origin::{self, OriginRefusal};

pub use options::{
    SandboxOptions, SandboxReceiptShares, parse_gateway_url, parse_receipt_delay, parse_receipt_shares,
};
pub use server::SandboxServer;
pub use test_numbers::{TEST_NUMBERS, TestNumber};

/// Serves until `stop` is true, then ends every connection and discards pending receipts.
pub async fn serve(sandbox: Arc<SandboxServer>, listener: TcpListener, stop: watch::Receiver<bool>) {
    listen::accept_connections(routes(&sandbox), listener, stop).await;
    sandbox.close().await;
}

fn routes(sandbox: &Arc<SandboxServer>) -> Router {
    Router::new()
        .route("/sms/send", get(simple_call))
        .route("/sms/send/", get(simple_call))
        .route("/messages", post(texting_call))
        .route("/2010-04-01/Accounts/{account}/Messages.json", post(twilio_call))
        .merge(control::routes())
        .with_state(Arc::clone(sandbox))
        .layer(from_fn(reject_cross_site_requests))
}

/// Rejects requests that another web site made a browser send: the sandbox server has no keys and calls any URL.
async fn reject_cross_site_requests(request: Request<Body>, sandbox_handler: Next) -> Response {
    let (status, reason) = match request_origin::refusal(request.uri(), request.headers(), None) {
        None => return sandbox_handler.run(request).await,
        Some(OriginRefusal::ForeignHost) => (
            StatusCode::MISDIRECTED_REQUEST,
            "the sandbox server accepts requests to localhost and IP addresses only",
        ),
        Some(OriginRefusal::CrossSite) => (StatusCode::FORBIDDEN, "requests from other sites are rejected"),
    };
    let refusal = SandboxResponse::new(status.as_u16(), &json!({"error": reason}));
    http_response::encode(refusal, false)
}

async fn simple_call(State(sandbox): State<Arc<SandboxServer>>, RawQuery(query): RawQuery) -> Response {
    let message = simple::parse_message(query.unwrap_or_default().as_bytes());
    sandbox.respond(SandboxApi::Simple, message).await
}

async fn texting_call(
    State(sandbox): State<Arc<SandboxServer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let message = if is_json(&headers) { texting::parse_message(&body) } else { Err(texting::not_json()) };
    sandbox.respond(SandboxApi::Texting, message).await
}

/// Returns whether the body is declared as JSON. A form of a web page cannot declare that.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case(api::JSON_CONTENT_TYPE)
}

async fn twilio_call(
    State(sandbox): State<Arc<SandboxServer>>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let message = twilio::parse_message(&account, &headers, &body);
    sandbox.respond(SandboxApi::Twilio, message).await
}

#[cfg(test)]
mod tests;
