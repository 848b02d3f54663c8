//! The HTTP and REST APIs of Jasmin 0.11: `/send`, `/rate`, `/balance`, `/ping`, and `/secure/*` with Basic credentials.
//!
//! Texts, statuses and the order of the checks are those of Jasmin. A message has one id for all of its parts.

mod answers;
mod arguments;
mod batch;
mod credentials;
mod rest;
mod send;
mod smpp_time;
mod values;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Method, Request, Response, header, request};
use axum::routing::get;
use serde_json::Value;

use super::query::LenientFields;
use crate::body::{self, FORM_URLENCODED};
use answers::JasminError;
use postrider_engine::gateway::Gateway;
use postrider_engine::request_load::BodySender;

/// Returns the routes of both APIs.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/send", get(send).post(send))
        .route("/rate", get(rate).post(rate))
        .route("/balance", get(balance).post(balance))
        .route("/ping", get(ping))
        .merge(rest::routes())
}

async fn ping() -> Response<Body> {
    let mut response = Response::new(Body::from("Jasmin/PONG"));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

async fn send(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let (head, content) = request.into_parts();
    answers::send_response(match read_fields(&gateway, &head, content).await {
        Ok(fields) => send::send(&gateway, &head.extensions, &fields).await,
        Err(error) => Err(error),
    })
}

async fn rate(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let (head, content) = request.into_parts();
    let fields = read_fields(&gateway, &head, content).await;
    answers::json_response(fields.and_then(|fields| values::rate(&gateway, &head.extensions, &fields)))
}

async fn balance(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let (head, content) = request.into_parts();
    let fields = read_fields(&gateway, &head, content).await;
    answers::json_response(fields.and_then(|fields| values::balance(&gateway, &head.extensions, &fields)))
}

/// Returns the arguments of the query, or of the form or the JSON object of a POST.
async fn read_fields(
    gateway: &Gateway,
    head: &request::Parts,
    content: Body,
) -> Result<LenientFields, JasminError> {
    let query = head.uri.query().unwrap_or_default().as_bytes();
    if head.method != Method::POST {
        return Ok(LenientFields::parse(query));
    }
    // The credentials are in the body, so it is read before they are known.
    let body = body::read(gateway, &head.headers, content, BodySender::Unauthenticated).await;
    let body = body.map_err(JasminError::from_body_error)?;
    Ok(fields_of_body(&body::content_type(&head.headers), query, &body))
}

fn fields_of_body(content_type: &str, query: &[u8], body: &Bytes) -> LenientFields {
    match content_type {
        "application/json" => match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(object)) => arguments::from_json(&object),
            _ => LenientFields::default(),
        },
        FORM_URLENCODED if !body.is_empty() => LenientFields::parse(body),
        _ => LenientFields::parse(query),
    }
}
