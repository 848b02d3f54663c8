//! The sandbox server's own endpoints: overview, counters, injected faults. No real provider has these endpoints.

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use axum::{Router, body::Bytes, extract::State, http::StatusCode, http::header::CONTENT_TYPE, routing::get};
use serde_json::{Value, json};

use super::{api::JSON_CONTENT_TYPE, server::SandboxServer, test_numbers::TEST_NUMBERS};

/// Returns the routes.
pub(super) fn routes() -> Router<Arc<SandboxServer>> {
    Router::new()
        .route("/", get(index_page))
        .route("/counters", get(counters))
        .route("/faults", get(get_fault).put(set_fault).post(set_fault).delete(clear_fault))
        .fallback(not_found)
}

async fn index_page(State(sandbox): State<Arc<SandboxServer>>) -> String {
    let mut index_text = String::from("console sandbox: sandbox server that imitates providers\n\n");
    for test_number in &TEST_NUMBERS {
        index_text.push_str(&format!("{} {}\n", test_number.number, test_number.behavior));
    }
    let (counters, fault) = (sandbox.counters_json(), sandbox.faults.to_json());
    index_text.push_str(&format!("\n/counters {counters:#}\n/faults {fault:#}\n"));
    index_text
}

async fn counters(State(sandbox): State<Arc<SandboxServer>>) -> Response {
    json_response(StatusCode::OK, &sandbox.counters_json())
}

async fn get_fault(State(sandbox): State<Arc<SandboxServer>>) -> Response {
    json_response(StatusCode::OK, &sandbox.faults.to_json())
}

async fn set_fault(State(sandbox): State<Arc<SandboxServer>>, body: Bytes) -> Response {
    match sandbox.faults.set(&body) {
        Ok(()) => get_fault(State(sandbox)).await,
        Err(problem) => json_response(StatusCode::BAD_REQUEST, &json!({"error": problem})),
    }
}

async fn clear_fault(State(sandbox): State<Arc<SandboxServer>>) -> Response {
    sandbox.faults.clear();
    get_fault(State(sandbox)).await
}

async fn not_found() -> Response {
    let problem = "not found; see / for the endpoints";
    json_response(StatusCode::NOT_FOUND, &json!({"error": problem}))
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, JSON_CONTENT_TYPE)], format!("{body}\n")).into_response()
}
