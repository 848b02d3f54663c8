//! Sends one message of Jasmin's APIs.

use axum::http::Extensions;
use chrono::TimeDelta;
use data_encoding::HEXLOWER_PERMISSIVE;

use super::answers::JasminError;
use super::{arguments, smpp_time};
use crate::compat::account::{self, CompatCaller};
use crate::compat::charset;
use crate::compat::query::LenientFields;
use postrider_core::callback::{CallbackFormat, CallbackMethod, JasminLevel};
use postrider_core::id::MessageId;
use postrider_core::priority::Priority;
use postrider_engine::accept::{self, AcceptRequest};
use postrider_engine::config::Scope;
use postrider_engine::events;
use postrider_engine::gateway::Gateway;

/// Longest validity in minutes: 100 years. A longer one is cut, because it means no limit.
const VALIDITY_MINUTES_MAX: i64 = 100 * 366 * 24 * 60;

/// Longest `dlr-url` in bytes, so that an event does not become arbitrarily large.
const DLR_URL_BYTES_MAX: usize = 2_048;

/// Names the action that needs the scope `send`, in the words of Jasmin.
pub(super) const CANNOT_SEND: &str = "Cannot send MT messages";

/// Accepts a message; it is on disk when the id is returned.
pub(super) async fn send(
    gateway: &Gateway,
    extensions: &Extensions,
    fields: &LenientFields,
) -> Result<MessageId, JasminError> {
    arguments::check_send(fields)?;
    let content = decode_content(fields)?;
    let caller = authorize(gateway, extensions, fields, Scope::Send, CANNOT_SEND)?;
    let user = text(fields, "username");
    let request = accept_request(gateway, &caller, fields, content)?;
    let accepted = accept::accept(gateway, request).await;
    let accepted =
        accepted.map_err(|error| JasminError::from_accept_error(&error, &user, &text(fields, "to")))?;
    Ok(accepted.id)
}

/// Authorizes the user and password in the arguments.
pub(super) fn authorize(
    gateway: &Gateway,
    extensions: &Extensions,
    fields: &LenientFields,
    scope: Scope,
    what: &str,
) -> Result<CompatCaller, JasminError> {
    let (user, password) = (text(fields, "username"), text(fields, "password"));
    account::authorize(gateway, extensions, &user, &password, scope)
        .map_err(|error| JasminError::from_auth_error(error, &user, what))
}

fn text(fields: &LenientFields, name: &str) -> String {
    arguments::value(fields, name).unwrap_or_default()
}

/// Returns the text of `content` or `hex-content`. Octets that are no text by their coding are refused, because the gateway
/// sends text only.
pub(super) fn decode_content(fields: &LenientFields) -> Result<String, JasminError> {
    let coding: u8 = fields.text(&["coding"]).and_then(|coding| coding.parse().ok()).unwrap_or(0);
    if let Some(hex) = fields.bytes(&["hex-content"]) {
        let written = String::from_utf8_lossy(hex);
        let invalid = || JasminError::bad_request(format!("Invalid hex-content data: '{written}'"));
        let octets = HEXLOWER_PERMISSIVE.decode(hex).map_err(|_| invalid())?;
        let user = text(fields, "username");
        let binary = || JasminError::not_authorized(&user, "Setting hex content not authorized");
        return charset::decode_by_data_coding(coding, &octets).ok_or_else(binary);
    }
    let octets = fields.bytes(&["content"]).unwrap_or_default();
    let decoded = match std::str::from_utf8(octets) {
        Ok(text) => Some(text.to_owned()),
        Err(_) if coding == 0 => None,
        Err(_) => charset::decode_by_data_coding(coding, octets),
    };
    decoded.ok_or_else(|| JasminError::invalid_value("content", &String::from_utf8_lossy(octets)))
}

/// Builds the request for a message with checked arguments.
pub(super) fn accept_request(
    gateway: &Gateway,
    caller: &CompatCaller,
    fields: &LenientFields,
    content: String,
) -> Result<AcceptRequest, JasminError> {
    let now = gateway.clock.now();
    let argument = |name| arguments::value(fields, name);
    let to = text(fields, "to");
    let number = account::international_number(gateway, &to).into_owned();
    let send_at = match argument("sdt") {
        None => None,
        Some(sdt) => match smpp_time::parse(&sdt, now) {
            Some(send_at) => Some(send_at),
            None => return Err(JasminError::invalid_value("sdt", &sdt)),
        },
    };
    let expires_at = argument("validity-period").and_then(|minutes| {
        let minutes = minutes.parse().unwrap_or(VALIDITY_MINUTES_MAX).min(VALIDITY_MINUTES_MAX);
        send_at.unwrap_or(now).checked_add_signed(TimeDelta::minutes(minutes))
    });
    let is_urgent = argument("priority").is_some_and(|priority| ["2", "3"].contains(&priority.as_str()));
    let mut request = AcceptRequest {
        addresses: vec![(caller.channel(gateway, None), number)],
        body: content,
        sender: argument("from").filter(|from| !from.is_empty()),
        priority: is_urgent.then_some(Priority::High),
        send_at,
        expires_at,
        api_key_name: caller.api_key_name.clone(),
        ..AcceptRequest::default()
    };
    set_callback(gateway, fields, &mut request)?;
    Ok(request)
}

/// Asks for receipts if there is a URL for them: `dlr-url` and `dlr-level` both stand for `dlr=yes`.
fn set_callback(
    gateway: &Gateway,
    fields: &LenientFields,
    request: &mut AcceptRequest,
) -> Result<(), JasminError> {
    let Some(url) = arguments::value(fields, "dlr-url") else {
        return Ok(());
    };
    let level = arguments::value(fields, "dlr-level").and_then(|level| JasminLevel::parse(&level));
    let method = arguments::value(fields, "dlr-method");
    let method = method.and_then(|method| CallbackMethod::parse(&method.to_ascii_uppercase()));
    let format = CallbackFormat::Jasmin {
        level: level.unwrap_or(JasminLevel::Provider),
        method: method.unwrap_or(CallbackMethod::Post),
    };
    let validated = if url.len() > DLR_URL_BYTES_MAX {
        Err(String::new())
    } else {
        events::validate_callback(gateway, format, &url)
    };
    request.callback_url = Some(validated.map_err(|_| JasminError::invalid_value("dlr-url", &url))?);
    request.callback_format = format;
    Ok(())
}
