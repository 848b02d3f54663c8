//! The sandbox's own pages: what it is, its counters, and the faults on demand.
//!
//! Nothing here is on any wire.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};

use super::fates::FATES;
use super::{Sandbox, wire};

/// Where they are.
pub(super) fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/", get(page))
        .route("/counters", get(counters))
        .route(
            "/faults",
            get(fault).put(set_fault).post(set_fault).delete(clear_fault),
        )
        .fallback(nowhere)
}

async fn page(State(sandbox): State<Arc<Sandbox>>) -> Response<Body> {
    let mut text = String::from("console sandbox: a stand-in for providers; nothing really leaves.\n\n");
    for fate in &FATES {
        text.push_str(&format!("{} {}\n", fate.number, fate.does));
    }
    let (counters, fault) = (sandbox.counters(), sandbox.faults.view());
    text.push_str(&format!("\n/counters {counters:#}\n/faults {fault:#}\n"));
    let mut response = Response::new(Body::from(text));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

async fn counters(State(sandbox): State<Arc<Sandbox>>) -> Response<Body> {
    json_answer(StatusCode::OK, &sandbox.counters())
}

async fn fault(State(sandbox): State<Arc<Sandbox>>) -> Response<Body> {
    json_answer(StatusCode::OK, &sandbox.faults.view())
}

async fn set_fault(State(sandbox): State<Arc<Sandbox>>, body: Bytes) -> Response<Body> {
    match sandbox.faults.set(&body) {
        Ok(()) => fault(State(sandbox)).await,
        Err(why) => json_answer(StatusCode::BAD_REQUEST, &json!({"error": why})),
    }
}

async fn clear_fault(State(sandbox): State<Arc<Sandbox>>) -> Response<Body> {
    sandbox.faults.clear();
    fault(State(sandbox)).await
}

async fn nowhere() -> Response<Body> {
    let why = "there is no such page; see / for what there is";
    json_answer(StatusCode::NOT_FOUND, &json!({"error": why}))
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(wire::JSON));
    response
}
