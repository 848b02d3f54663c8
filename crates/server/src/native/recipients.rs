//! `GET` and `PUT /v1/recipients/{channel}/{address}`: the status of a recipient, its reason, and the origin of both.
//!
//! An unknown recipient is active. A change is recorded under the name of the API key.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::extract::{JsonResult, PathParams};
use crate::error_responses::{
    AuthErrorResponses, BodyErrorResponses, NotFoundResponses, NotJsonResponses, StoreErrorResponses,
};
use crate::json_fields::{ObjectReader, json_body};
use crate::problem::{PROBLEM_JSON, Problem, ProblemView, StoreResult as _, Violation};
use crate::{auth, body};
use postrider_core::error::ErrorKind;
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::recipient::{self, RecipientAddress, RecipientError, RecipientStatusChange};
use postrider_engine::usage::rfc3339;

/// A recipient.
#[derive(Serialize, ToSchema)]
#[schema(as = Recipient)]
pub(super) struct RecipientView {
    /// The channel.
    channel: String,
    /// The address, normalized.
    address: String,
    /// `active`, `inactive` or `opted_out`.
    status: &'static str,
    /// Reason for the status; null if it was never changed.
    reason: Option<String>,
    /// The provider, API key or operator that changed the status.
    changed_by: Option<String>,
    /// Time of the change.
    #[schema(format = DateTime)]
    changed_at: Option<String>,
}

json_body! {
    /// Request body of a change.
    #[schema(as = RecipientChange)]
    pub(super) struct RecipientChangeBody {
        /// `active`, `inactive` or `opted_out`.
        status: String,
        /// Reason for the change, for later readers.
        #[schema(max_length = 500)]
        reason: Option<String>,
    }
}

/// Returns the status of a recipient, its reason, and the origin of both.
#[utoipa::path(
    get,
    path = "/v1/recipients/{channel}/{address}",
    operation_id = "show_recipient",
    tag = "native",
    params(
        ("channel" = String, Path, description = "The channel's name in the configuration."),
        ("address" = String, Path, description = "The address, in any spelling that the channel accepts."),
    ),
    responses(
        (status = 200, description = "The recipient.", body = RecipientView),
        (status = 422, description = "The address is not valid on this channel.", body = ProblemView, content_type = PROBLEM_JSON),
        AuthErrorResponses, NotFoundResponses, StoreErrorResponses,
    )
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathParams((channel, address)): PathParams<(String, String)>,
    headers: HeaderMap,
) -> JsonResult<RecipientView> {
    auth::authorize(&gateway, &headers, Scope::Read)?;
    let address = parse_address(&gateway, &channel, &address)?;
    let found_recipient = gateway.store.recipient(&address.channel, &address.address).await;
    Ok(Json(match found_recipient.or_problem(&gateway, "read the recipient")? {
        Some(recipient) => recipient_view(recipient),
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

/// Changes the status of a recipient.
///
/// Deliveries that wait for a recipient that becomes inactive or opted out are cancelled.
#[utoipa::path(
    put,
    path = "/v1/recipients/{channel}/{address}",
    operation_id = "change_recipient",
    tag = "native",
    params(
        ("channel" = String, Path, description = "The channel's name in the configuration."),
        ("address" = String, Path, description = "The address, in any spelling that the channel accepts."),
    ),
    request_body(content = RecipientChangeBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The changed recipient.", body = RecipientView),
        (status = 422, description = "The address or a field is not valid.", body = ProblemView,
            content_type = PROBLEM_JSON),
        AuthErrorResponses, NotFoundResponses, BodyErrorResponses, NotJsonResponses, StoreErrorResponses,
    )
)]
pub(super) async fn change(
    State(gateway): State<Arc<Gateway>>,
    PathParams((channel, address)): PathParams<(String, String)>,
    request: Request<Body>,
) -> JsonResult<RecipientView> {
    let (head, content) = request.into_parts();
    let key_name = &auth::authorize(&gateway, &head.headers, Scope::Admin)?.api_key_name;
    let object = body::json_object(&gateway, &head.headers, content).await?;
    let address = parse_address(&gateway, &channel, &address)?;
    let change = parse_change(&object, key_name)?;
    let changed = recipient::set_status(&gateway, &address, change).await;
    changed.map(recipient_view).map(Json).map_err(|error| match error.kind() {
        ErrorKind::Usage => Violation::new("reason", error.to_string()).into(),
        _ => Problem::from_error(&gateway, "change the recipient", &error),
    })
}

fn parse_address(gateway: &Gateway, channel: &str, address: &str) -> Result<RecipientAddress, Problem> {
    recipient::parse_recipient(gateway, channel, address).map_err(|error| match error {
        RecipientError::UnknownChannel => Problem::not_found(format!("there is no channel \"{channel}\"")),
        RecipientError::InvalidAddress(cause) => Violation::new("address", cause.to_string()).into(),
    })
}

fn parse_change(
    object: &Map<String, Value>,
    key_name: &str,
) -> Result<RecipientStatusChange, Vec<Violation>> {
    let mut change_fields = ObjectReader::new(object, "").refuse_unknown(RecipientChangeBody::FIELDS);
    let recipient_status = change_fields.get("status").and_then(Value::as_str);
    let recipient_status = recipient_status.and_then(RecipientStatus::parse);
    if recipient_status.is_none() {
        let status_names = RecipientStatus::ALL.map(RecipientStatus::as_str).join(", ");
        change_fields.add_violation("status", format!("must be one of: {status_names}"));
    }
    let reason = change_fields.string("reason").unwrap_or_default();
    change_fields.finish(RecipientStatusChange {
        status: recipient_status.unwrap_or(RecipientStatus::Active),
        reason,
        changed_by: key_name.to_owned(),
    })
}

fn recipient_view(recipient: Recipient) -> RecipientView {
    RecipientView {
        channel: recipient.channel.to_string(),
        address: recipient.address,
        status: recipient.status.as_str(),
        reason: Some(recipient.reason),
        changed_by: Some(recipient.changed_by),
        changed_at: Some(rfc3339(recipient.changed_at)),
    }
}
