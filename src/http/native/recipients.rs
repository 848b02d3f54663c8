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

use super::wire::rfc3339;
use super::{Answer, invalid};
use crate::config::Scope;
use crate::domain::recipient::{Recipient, Standing};
use crate::error::Kind;
use crate::flow::recipient::{self, Address, Nobody, Word};
use crate::gateway::Gateway;
use crate::http::describe::{Denied, Failed, Missing, NotJson, ProblemView, Unread};
use crate::http::problem::{PROBLEM_JSON, Problem, Violation};
use crate::http::{auth, body};

/// An address on a channel, as the path has it.
pub(super) struct Named {
    channel: String,
    address: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Path((channel, address)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::missing("this path is not UTF-8, so it leads nowhere"))?;
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
    standing: &'static str,
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
pub(super) struct ChangeBody {
    /// `active`, `inactive` or `opted_out`.
    standing: String,
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
        Denied, Missing, Failed,
    )
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    named: Named,
    headers: HeaderMap,
) -> Result<Json<RecipientView>, Response<Body>> {
    auth::caller(&gateway, &headers, Scope::Read).map_err(IntoResponse::into_response)?;
    known(&gateway, &named).await.map_err(IntoResponse::into_response)
}

async fn known(gateway: &Gateway, named: &Named) -> Answer<RecipientView> {
    let address = address(gateway, named)?;
    let found = recipient::look(gateway, &address)
        .await
        .map_err(|error| Problem::failed(gateway, "read the recipient", &error))?;
    Ok(Json(match found {
        Some(known) => said(known),
        None => RecipientView {
            channel: address.channel.to_string(),
            address: address.normalised,
            standing: Standing::Active.word(),
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
    request_body(content = ChangeBody, content_type = "application/json"),
    responses(
        (status = 200, description = "What is known of the address now.", body = RecipientView),
        (status = 422, description = "What is wrong with the address or the word.", body = ProblemView,
            content_type = PROBLEM_JSON),
        Denied, Missing, Unread, NotJson, Failed,
    )
)]
pub(super) async fn change(
    State(gateway): State<Arc<Gateway>>,
    named: Named,
    request: Request<Body>,
) -> Result<Json<RecipientView>, Response<Body>> {
    let (head, content) = request.into_parts();
    let caller = auth::caller(&gateway, &head.headers, Scope::Admin).map_err(IntoResponse::into_response)?;
    let object = body::json_object(&gateway, &head.headers, content)
        .await
        .map_err(IntoResponse::into_response)?;
    changed(&gateway, &named, &object, caller)
        .await
        .map_err(IntoResponse::into_response)
}

async fn changed(
    gateway: &Gateway,
    named: &Named,
    object: &Map<String, Value>,
    caller: &str,
) -> Answer<RecipientView> {
    let address = address(gateway, named)?;
    let word = word(object, caller).map_err(|violations| invalid(&violations))?;
    let changed = recipient::change(gateway, &address, word).await;
    changed.map(said).map(Json).map_err(|error| match error.kind() {
        Kind::Usage => invalid(&[Violation::new("reason", error.to_string())]),
        _ => Problem::failed(gateway, "change the recipient", &error),
    })
}

fn address(gateway: &Gateway, named: &Named) -> Result<Address, Problem> {
    recipient::address(gateway, &named.channel, &named.address).map_err(|nobody| match nobody {
        Nobody::NoChannel => Problem::missing(format!("there is no channel \"{}\"", named.channel)),
        Nobody::BadAddress(why) => invalid(&[Violation::new("address", why.to_string())]),
    })
}

fn word(object: &Map<String, Value>, caller: &str) -> Result<Word, Vec<Violation>> {
    let mut violations = Vec::new();
    let words = Standing::ALL.map(Standing::word).join(", ");
    let standing = object.get("standing").and_then(Value::as_str);
    let standing = standing.and_then(Standing::from_word);
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
        Some(standing) if violations.is_empty() => Ok(Word {
            standing,
            reason: reason.to_owned(),
            by: caller.to_owned(),
        }),
        _ => Err(violations),
    }
}

fn said(known: Recipient) -> RecipientView {
    RecipientView {
        channel: known.channel.to_string(),
        address: known.address,
        standing: known.standing.word(),
        reason: Some(known.reason),
        changed_by: Some(known.changed_by),
        changed_at: Some(rfc3339(known.changed_at)),
    }
}
