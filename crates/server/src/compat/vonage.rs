//! The SMS API of Vonage: `/sms/json`, and `/account/get-balance`.
//!
//! The status is always 200; the result is in `messages`. Parameters come in the query, in a form or in JSON. Credentials are
//! Basic, or `api_key` and `api_secret` among the parameters; signed requests are not offered.

mod answer;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Request, Response, request};
use axum::routing::{any, get};
use axum::{Json, Router};
use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::account::{self, CompatCaller};
use super::query::{LenientFields, restore_plus};
use crate::auth::AuthError;
use crate::body;
use answer::{SendError, accepted_document, error_response};
use postrider_core::callback::CallbackFormat;
use postrider_engine::accept::{self, AcceptRequest};
use postrider_engine::accounts::Credential;
use postrider_engine::config::Scope;
use postrider_engine::events;
use postrider_engine::gateway::Gateway;
use postrider_engine::request_load::BodySender;

/// Range of `ttl`, in milliseconds.
const TTL_MS: std::ops::RangeInclusive<i64> = 20_000..=604_800_000;

/// Longest `client-ref`, in characters.
const CLIENT_REF_CHARS_MAX: usize = 100;

/// Returns the routes of the API.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/sms/json", any(send)).route("/account/get-balance", get(balance))
}

async fn send(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    match accept_message(&gateway, request).await {
        Ok(document) => axum::response::IntoResponse::into_response(Json(document)),
        Err(error) => error_response(error),
    }
}

async fn accept_message(gateway: &Gateway, request: Request<Body>) -> Result<Value, SendError> {
    let (head, content) = request.into_parts();
    let fields = read_fields(gateway, &head, content).await?;
    let caller = authorize(gateway, &head, &fields, Scope::Send)?;
    let accept_request = accept_request(gateway, &caller, &head, &fields)?;
    let to = fields.text(&["to"]).unwrap_or_default();
    let client_ref = fields.text(&["client-ref"]);
    let accepted = accept::accept(gateway, accept_request).await;
    let accepted = accepted.map_err(|error| SendError::from_accept(&error))?;
    Ok(accepted_document(&accepted, to.trim_start_matches('+'), client_ref.as_deref()))
}

fn accept_request(
    gateway: &Gateway,
    caller: &CompatCaller,
    head: &request::Parts,
    fields: &LenientFields,
) -> Result<AcceptRequest, SendError> {
    let text = |name: &str| fields.text(&[name]).filter(|value| !value.is_empty());
    let to = text("to").ok_or(SendError::missing("to"))?;
    let from = text("from").ok_or(SendError::missing("from"))?;
    let body = text("text").ok_or(SendError::missing("text"))?;
    if text("type").is_some_and(|kind| kind != "text" && kind != "unicode") {
        return Err(SendError::invalid("type"));
    }
    let client_ref = text("client-ref");
    if client_ref.as_ref().is_some_and(|reference| reference.chars().count() > CLIENT_REF_CHARS_MAX) {
        return Err(SendError::invalid("client-ref"));
    }
    let expires_at = match text("ttl") {
        Some(ttl) => {
            let milliseconds = ttl.parse().ok().filter(|milliseconds| TTL_MS.contains(milliseconds));
            let milliseconds: i64 = milliseconds.ok_or(SendError::invalid("ttl"))?;
            Some(gateway.clock.now() + TimeDelta::milliseconds(milliseconds))
        }
        None => None,
    };
    let to = account::international_number(gateway, &restore_plus(&to)).into_owned();
    let mut request = AcceptRequest {
        addresses: vec![(caller.channel(gateway, None), to)],
        body,
        sender: Some(restore_plus(&from)),
        expires_at,
        api_key_name: caller.api_key_name.clone(),
        ..AcceptRequest::default()
    };
    if let Some(url) = text("callback") {
        let format = CallbackFormat::Vonage;
        let url = events::validate_callback(gateway, format, &url);
        request.callback_url = Some(url.map_err(|_| SendError::invalid("callback"))?);
        request.callback_format = format;
        let key = credentials(head, fields).0;
        request.callback_fields = [("api-key", Some(key)), ("client-ref", client_ref), ("to", Some(from))]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
    }
    Ok(request)
}

/// Returns the parameters of the query, and behind them those of the form or the JSON document.
async fn read_fields(
    gateway: &Gateway,
    head: &request::Parts,
    content: Body,
) -> Result<LenientFields, SendError> {
    let query = head.uri.query().unwrap_or_default().as_bytes();
    if head.method != Method::POST {
        return Ok(LenientFields::parse(query));
    }
    let sender = match authorize(gateway, head, &LenientFields::parse(query), Scope::Send) {
        Ok(_) => BodySender::Authenticated,
        Err(_) => BodySender::Unauthenticated,
    };
    let read = body::read(gateway, &head.headers, content, sender).await;
    let content: Bytes = read.map_err(SendError::Body)?;
    if body::content_type(&head.headers) == "application/json" {
        let document = serde_json::from_slice::<Map<String, Value>>(&content);
        let mut fields = LenientFields::parse(query);
        for (name, value) in document.map_err(|_| SendError::invalid("body"))? {
            let text = match value {
                Value::String(text) => text,
                Value::Null => continue,
                other => other.to_string(),
            };
            fields.push(&name, text);
        }
        return Ok(fields);
    }
    let fields = [query, &content].join(&b"&"[..]);
    Ok(LenientFields::parse(&fields))
}

/// Returns key and secret: of the Basic credentials, or of the parameters.
fn credentials(head: &request::Parts, fields: &LenientFields) -> (String, String) {
    account::basic_credentials(&head.headers).unwrap_or_else(|| {
        let text = |name: &str| fields.text(&[name]).unwrap_or_default();
        (text("api_key"), text("api_secret"))
    })
}

fn authorize(
    gateway: &Gateway,
    head: &request::Parts,
    fields: &LenientFields,
    scope: Scope,
) -> Result<CompatCaller, AuthError> {
    let (key, secret) = credentials(head, fields);
    let credential = Credential::Vonage { key: &key, secret: &secret };
    if head.headers.contains_key(AUTHORIZATION) {
        account::authorize_basic(gateway, head, credential, scope)
    } else {
        account::authorize_credential(gateway, &head.extensions, credential, scope)
    }
}

/// Returns a balance of 0: the gateway keeps none.
async fn balance(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let (head, _) = request.into_parts();
    let fields = LenientFields::parse(head.uri.query().unwrap_or_default().as_bytes());
    match authorize(&gateway, &head, &fields, Scope::Send) {
        Ok(_) => {
            axum::response::IntoResponse::into_response(Json(json!({ "value": 0.0, "autoReload": false })))
        }
        Err(error) => answer::unauthorized_balance(error),
    }
}
