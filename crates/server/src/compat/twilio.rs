//! The Messages API of Twilio, version 2010-04-01: create, fetch, list and cancel messages, balance and account.
//!
//! An unmodified Twilio SDK works with only its base URL changed. Bodies are forms, answers JSON. Not offered: media,
//! redaction, deletion and Messaging Services.

mod create;
mod error;
mod list;
mod request;
mod resource;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, StatusCode};
use axum::routing::any;
use serde_json::{Value, json};

use super::account::{self, CompatCaller};
use super::query::LenientFields;
use crate::body::{self, BodyError};
use error::{TwilioError, json_response};
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::id::MessageId;
use postrider_core::message::Message;
use postrider_engine::accounts::Credential;
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::request_load::BodySender;
use postrider_store::Cancelled;
use request::{API_VERSION, TwilioRequest};
use resource::MessageFacts;

/// Returns the routes of the API, also under the prefix that other compatible systems use.
pub(super) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/2010-04-01/{*path}", any(respond))
        .route("/api/laml/2010-04-01/{*path}", any(respond))
}

/// The resources of the API, below `/2010-04-01/Accounts/SID`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resource<'a> {
    Account,
    Balance,
    Messages,
    Message(&'a str),
    Media(&'a str),
}

async fn respond(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    match answer(&gateway, request).await {
        Ok((status, resource)) => json_response(status, &resource),
        Err(error) => error.into_response(),
    }
}

async fn answer(gateway: &Gateway, request: Request<Body>) -> Result<(StatusCode, Value), TwilioError> {
    let (head, content) = request.into_parts();
    let path = head.uri.path().to_owned();
    let (account_sid, resource) = parse_path(&path).ok_or_else(|| TwilioError::not_found(&path))?;
    let scope = if head.method == Method::GET { Scope::Read } else { Scope::Send };
    let caller = authorize(gateway, &head, account_sid, scope)?;
    let fields = read_fields(gateway, &head, content).await?;
    let request = TwilioRequest {
        method: head.method,
        headers: head.headers,
        fields,
        caller,
        account_sid: account_sid.to_owned(),
        path: path.clone(),
    };
    match (request.method.as_str(), resource) {
        ("POST", Resource::Messages) => create::create(gateway, &request).await,
        ("GET", Resource::Messages) => list::list(gateway, &request).await,
        ("GET", Resource::Message(sid)) => fetch(gateway, &request, sid).await,
        ("POST", Resource::Message(sid)) => update(gateway, &request, sid).await,
        ("GET", Resource::Media(sid)) => list_media(gateway, &request, sid).await,
        ("GET", Resource::Account) => Ok((StatusCode::OK, account_resource(&request.account_sid))),
        ("GET", Resource::Balance) => Ok((
            StatusCode::OK,
            json!({ "account_sid": request.account_sid, "balance": "0.00", "currency": "USD" }),
        )),
        _ => Err(TwilioError::METHOD_NOT_ALLOWED),
    }
}

/// Returns the account SID and the resource of a path, with or without `.json`.
fn parse_path(path: &str) -> Option<(&str, Resource<'_>)> {
    let (_, below_version) = path.split_once("/2010-04-01/")?;
    let below_version = below_version.strip_suffix(".json").unwrap_or(below_version);
    let segments: Vec<&str> = below_version.split('/').collect();
    match segments[..] {
        ["Accounts", account] => Some((account, Resource::Account)),
        ["Accounts", account, "Balance"] => Some((account, Resource::Balance)),
        ["Accounts", account, "Messages"] => Some((account, Resource::Messages)),
        ["Accounts", account, "Messages", message] => Some((account, Resource::Message(message))),
        ["Accounts", account, "Messages", message, "Media"] => Some((account, Resource::Media(message))),
        _ => None,
    }
}

/// Authorizes the Basic credentials, whose user is the account SID of the path.
fn authorize(
    gateway: &Gateway,
    head: &Parts,
    account_sid: &str,
    scope: Scope,
) -> Result<CompatCaller, TwilioError> {
    let (sid, token) = account::basic_credentials(&head.headers).unwrap_or_default();
    let credential = Credential::Twilio { sid: &sid, token: &token };
    let caller =
        account::authorize_basic(gateway, head, credential, scope).map_err(TwilioError::unauthorized)?;
    if !gateway.api_keys().is_empty() && sid != account_sid {
        return Err(TwilioError::not_found(head.uri.path()));
    }
    Ok(caller)
}

/// Returns the fields of the query, or of the form of a POST.
async fn read_fields(gateway: &Gateway, head: &Parts, content: Body) -> Result<LenientFields, TwilioError> {
    let query = Bytes::from(head.uri.query().unwrap_or_default().to_owned());
    if head.method != Method::POST {
        return Ok(LenientFields::parse(&query));
    }
    let form = body::read(gateway, &head.headers, content, BodySender::Authenticated).await;
    let form = form.map_err(|error: BodyError| TwilioError::from_body(error))?;
    Ok(LenientFields::parse(if form.is_empty() { &query } else { &form }))
}

/// Returns a message that the caller may access. A message of another owner is as unknown as one that does not exist.
async fn find_message(gateway: &Gateway, request: &TwilioRequest, sid: &str) -> Result<Message, TwilioError> {
    let not_found = || TwilioError::not_found(&request.path);
    let id = MessageId::from_twilio_sid(sid).ok_or_else(not_found)?;
    let message = gateway.store.find_message(id).await;
    let message = message.map_err(|error| TwilioError::from_store(gateway, &error))?;
    message.filter(|message| request.caller.can_access(&message.owner)).ok_or_else(not_found)
}

async fn fetch(
    gateway: &Gateway,
    request: &TwilioRequest,
    sid: &str,
) -> Result<(StatusCode, Value), TwilioError> {
    let message = find_message(gateway, request, sid).await?;
    let facts = MessageFacts::of_message(&message, gateway.clock.now());
    Ok((StatusCode::OK, facts.resource(&request.account_sid)))
}

/// Cancels a message that is not sent yet: `Status=canceled`.
async fn update(
    gateway: &Gateway,
    request: &TwilioRequest,
    sid: &str,
) -> Result<(StatusCode, Value), TwilioError> {
    let message = find_message(gateway, request, sid).await?;
    match request.fields.text(&["Status"]).as_deref() {
        Some("canceled") => {}
        _ => return Err(TwilioError::UNSUPPORTED_UPDATE),
    }
    let cancelled = gateway.store.cancel_message(message.id, gateway.clock.now()).await;
    match cancelled.map_err(|error| TwilioError::from_store(gateway, &error))? {
        Cancelled::Done(channels) => {
            for channel in &channels {
                gateway.count_state_change(channel, DeliveryStateKind::Failed);
            }
            fetch(gateway, request, sid).await
        }
        Cancelled::NotFound => Err(TwilioError::not_found(&request.path)),
        Cancelled::TooLate => Err(TwilioError::NOT_CANCELLABLE),
    }
}

/// Returns the media of a message: it has none.
async fn list_media(
    gateway: &Gateway,
    request: &TwilioRequest,
    sid: &str,
) -> Result<(StatusCode, Value), TwilioError> {
    find_message(gateway, request, sid).await?;
    Ok((StatusCode::OK, list::page_document("media_list", Vec::new(), &request.path, 50, 0, None)))
}

fn account_resource(account_sid: &str) -> Value {
    json!({
        "sid": account_sid,
        "friendly_name": account_sid,
        "status": "active",
        "type": "Full",
        "owner_account_sid": account_sid,
        "subresource_uris": {
            "messages": format!("/{API_VERSION}/Accounts/{account_sid}/Messages.json"),
            "balance": format!("/{API_VERSION}/Accounts/{account_sid}/Balance.json"),
        },
        "uri": format!("/{API_VERSION}/Accounts/{account_sid}.json"),
    })
}
