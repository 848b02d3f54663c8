//! `GET` and `PUT /v1/recipients/{channel}/{address}`: whether an address may be written to, who said so, and why.
//!
//! An address of which nothing was ever said is active. A change is kept under the name of the key it came with.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Response};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::message_view::rfc3339;
use super::{JsonResult, invalid_fields};
use crate::openapi::{
    AuthErrorResponses, BodyErrorResponses, NotFoundResponses, NotJsonResponses, ProblemView,
    StoreErrorResponses,
};
use crate::problem::{PROBLEM_JSON, Problem, Violation};
use crate::{auth, body};
use postrider_core::error::ErrorKind;
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::recipient::{self, RecipientAddress, RecipientError, RecipientStatusChange};

/// An address on a channel, as the path has it.
pub(super) struct RecipientPath {
    channel: String,
    address: String,
}

impl<S: Send + Sync> FromRequestParts<S> for RecipientPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Path((channel, address)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("this path is not UTF-8, so it leads nowhere"))?;
        Ok(Self { channel, address })
    }
}

/// What is known of an address.
#[derive(Serialize, ToSchema)]
#[schema(as = Recipient)]
pub(super) struct RecipientView {
    /// On which channel.
    channel: String,
    /// In the one form it is kept in.
    address: String,
    /// `active`, `inactive` or `opted_out`.
    status: &'static str,
    /// Why; null when nothing was ever said of it.
    reason: Option<String>,
    /// Which provider, key or operator said so.
    changed_by: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    changed_at: Option<String>,
}

/// Somebody's word on an address, as it is sent.
#[derive(ToSchema)]
#[schema(as = RecipientChange)]
#[expect(dead_code, reason = "only describes the fields that `word` reads")]
pub(super) struct RecipientChangeBody {
    /// `active`, `inactive` or `opted_out`.
    status: String,
    /// Why, for whoever looks later.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Shows whether an address may be written to, who said so, and why.
#[utoipa::path(
    get,
    path = "/v1/recipients/{channel}/{address}",
    operation_id = "show_recipient",
    tag = "native",
    params(
        ("channel" = String, Path, description = "The channel's name in the configuration."),
        ("address" = String, Path, description = "The address, in any spelling the channel takes."),
    ),
    responses(
        (status = 200, description = "What is known of the address.", body = RecipientView),
        (status = 422, description = "It is no address of this channel.", body = ProblemView, content_type = PROBLEM_JSON),
        AuthErrorResponses, NotFoundResponses, StoreErrorResponses,
    )
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    named: RecipientPath,
    headers: HeaderMap,
) -> Result<Json<RecipientView>, Response<Body>> {
    auth::authorize(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    recipient_or_active(&gateway, &named)
        .await
        .map_err(IntoResponse::into_response)
}

async fn recipient_or_active(gateway: &Gateway, named: &RecipientPath) -> JsonResult<RecipientView> {
    let address = parse_address(gateway, named)?;
    let found = recipient::find_recipient(gateway, &address)
        .await
        .map_err(|error| Problem::from_error(gateway, "read the recipient", &error))?;
    Ok(Json(match found {
        Some(known) => recipient_view(known),
        None => RecipientView {
            channel: address.channel.to_string(),
            address: address.address,
            status: RecipientStatus::Active.as_str(),
            reason: None,
            changed_by: None,
            changed_at: None,
        },
    }))
}

/// Changes whether an address may be written to.
///
/// What waits for one that may not is called off.
#[utoipa::path(
    put,
    path = "/v1/recipients/{channel}/{address}",
    operation_id = "change_recipient",
    tag = "native",
    params(
        ("channel" = String, Path, description = "The channel's name in the configuration."),
        ("address" = String, Path, description = "The address, in any spelling the channel takes."),
    ),
    request_body(content = RecipientChangeBody, content_type = "application/json"),
    responses(
        (status = 200, description = "What is known of the address now.", body = RecipientView),
        (status = 422, description = "What is wrong with the address or the word.", body = ProblemView,
            content_type = PROBLEM_JSON),
        AuthErrorResponses, NotFoundResponses, BodyErrorResponses, NotJsonResponses, StoreErrorResponses,
    )
)]
pub(super) async fn change(
    State(gateway): State<Arc<Gateway>>,
    named: RecipientPath,
    request: Request<Body>,
) -> Result<Json<RecipientView>, Response<Body>> {
    let (head, content) = request.into_parts();
    let caller =
        auth::authorize(&gateway, &head.headers, Scope::Admin).map_err(IntoResponse::into_response)?;
    let object = body::json_object(&gateway, &head.headers, content)
        .await
        .map_err(IntoResponse::into_response)?;
    apply_change(&gateway, &named, &object, caller)
        .await
        .map_err(IntoResponse::into_response)
}

async fn apply_change(
    gateway: &Gateway,
    named: &RecipientPath,
    object: &Map<String, Value>,
    caller: &str,
) -> JsonResult<RecipientView> {
    let address = parse_address(gateway, named)?;
    let word = parse_change(object, caller).map_err(|violations| invalid_fields(&violations))?;
    let changed = recipient::set_status(gateway, &address, word).await;
    changed
        .map(recipient_view)
        .map(Json)
        .map_err(|error| match error.kind() {
            ErrorKind::Usage => invalid_fields(&[Violation::new("reason", error.to_string())]),
            _ => Problem::from_error(gateway, "change the recipient", &error),
        })
}

fn parse_address(gateway: &Gateway, named: &RecipientPath) -> Result<RecipientAddress, Problem> {
    recipient::parse_recipient(gateway, &named.channel, &named.address).map_err(|nobody| match nobody {
        RecipientError::UnknownChannel => {
            Problem::not_found(format!("there is no channel \"{}\"", named.channel))
        }
        RecipientError::InvalidAddress(why) => invalid_fields(&[Violation::new("address", why.to_string())]),
    })
}

fn parse_change(object: &Map<String, Value>, caller: &str) -> Result<RecipientStatusChange, Vec<Violation>> {
    let mut violations = Vec::new();
    let words = RecipientStatus::ALL.map(RecipientStatus::as_str).join(", ");
    let standing = object.get("standing").and_then(Value::as_str);
    let standing = standing.and_then(RecipientStatus::parse);
    if standing.is_none() {
        violations.push(Violation::new("standing", format!("must be one of: {words}")));
    }
    let reason = match object.get("reason") {
        None | Some(Value::Null) => "",
        Some(Value::String(reason)) => reason,
        Some(_) => {
            violations.push(Violation::new("reason", "must be a text"));
            ""
        }
    };
    for unknown in object
        .keys()
        .filter(|key| !matches!(key.as_str(), "standing" | "reason"))
    {
        violations.push(Violation::new(
            unknown.as_str(),
            "is unknown; there are standing and reason",
        ));
    }
    match standing {
        Some(standing) if violations.is_empty() => Ok(RecipientStatusChange {
            status: standing,
            reason: reason.to_owned(),
            changed_by: caller.to_owned(),
        }),
        _ => Err(violations),
    }
}

fn recipient_view(known: Recipient) -> RecipientView {
    RecipientView {
        channel: known.channel.to_string(),
        address: known.address,
        status: known.status.as_str(),
        reason: Some(known.reason),
        changed_by: Some(known.changed_by),
        changed_at: Some(rfc3339(known.changed_at)),
    }
}
