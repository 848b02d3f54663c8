//! `POST …/Messages.json`: accepts a message.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::Value;

use super::error::TwilioError;
use super::request::TwilioRequest;
use super::resource::{MessageFacts, parse_date};
use crate::compat::account;
use crate::compat::query::restore_plus;
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::callback::CallbackFormat;
use postrider_core::clock::Timestamp;
use postrider_engine::accept::{self, AcceptRequest, RequestIdempotencyKey};
use postrider_engine::events;
use postrider_engine::gateway::Gateway;

/// Longest body, in characters, as Twilio documents it.
const BODY_CHARS_MAX: usize = 1_600;

/// Longest idempotency token, in bytes.
const TOKEN_BYTES_MAX: usize = 255;

/// Range of `ValidityPeriod`, in seconds.
const VALIDITY_SECONDS: std::ops::RangeInclusive<i64> = 1..=36_000;

/// A scheduled message is sent more than this long after the request.
const SCHEDULE_MIN: TimeDelta = TimeDelta::seconds(300);

/// A scheduled message is sent at most this long after the request.
const SCHEDULE_MAX: TimeDelta = TimeDelta::days(35);

/// Headers with the client's id of a request.
const IDEMPOTENCY_HEADERS: [&str; 2] = ["i-twilio-idempotency-token", "idempotency-key"];

/// Accepts a message. 201 means that it is on disk.
pub(super) async fn create(
    gateway: &Gateway,
    request: &TwilioRequest,
) -> Result<(StatusCode, Value), TwilioError> {
    let now = gateway.clock.now();
    let accept_request = accept_request(gateway, request, now)?;
    let mut facts = facts_of_request(gateway, &accept_request, request, now);
    let accepted = accept::accept(gateway, accept_request).await;
    let accepted = accepted.map_err(|error| TwilioError::from_accept(&error))?;
    if accepted.is_replay {
        let message = gateway.store.find_message(accepted.id).await;
        let message = message.map_err(|error| TwilioError::from_store(gateway, &error))?;
        if let Some(message) = message {
            facts = MessageFacts::of_message(&message, now);
        }
    }
    (facts.id, facts.parts) = (accepted.id, accepted.parts);
    Ok((StatusCode::CREATED, facts.resource(&request.account_sid)))
}

fn accept_request(
    gateway: &Gateway,
    request: &TwilioRequest,
    now: Timestamp,
) -> Result<AcceptRequest, TwilioError> {
    let text = |name: &str| request.fields.text(&[name]).filter(|value| !value.is_empty());
    let to = restore_plus(&text("To").ok_or(TwilioError::TO_MISSING)?);
    if text("MediaUrl").is_some() {
        return Err(TwilioError::MEDIA_UNSUPPORTED);
    }
    let body = text("Body").ok_or(TwilioError::BODY_MISSING)?;
    if body.chars().count() > BODY_CHARS_MAX {
        return Err(TwilioError::BODY_TOO_LONG);
    }
    let send_at = read_schedule(request, now)?;
    let expires_at = read_validity(request, send_at.unwrap_or(now))?;
    let channel = request.caller.channel(gateway, None);
    let to = account::international_number(gateway, &to).into_owned();
    let mut accept_request = AcceptRequest {
        addresses: vec![(channel, to)],
        body,
        sender: text("From").map(|from| restore_plus(&from)),
        send_at,
        expires_at,
        api_key_name: request.caller.api_key_name.clone(),
        idempotency_key: read_idempotency_token(request)?,
        ..AcceptRequest::default()
    };
    if let Some(url) = text("StatusCallback") {
        let format = CallbackFormat::Twilio;
        let url = events::validate_callback(gateway, format, &url);
        accept_request.callback_url = Some(url.map_err(|_| TwilioError::CALLBACK_INVALID)?);
        accept_request.callback_format = format;
        accept_request.callback_fields = vec![("AccountSid".to_owned(), request.account_sid.clone())];
        accept_request
            .callback_fields
            .extend(service_sid(request).map(|sid| ("MessagingServiceSid".to_owned(), sid)));
    }
    Ok(accept_request)
}

fn service_sid(request: &TwilioRequest) -> Option<String> {
    request.fields.text(&["MessagingServiceSid"]).filter(|sid| !sid.is_empty())
}

/// Returns the send time of a scheduled message.
fn read_schedule(request: &TwilioRequest, now: Timestamp) -> Result<Option<Timestamp>, TwilioError> {
    let text = |name: &str| request.fields.text(&[name]).filter(|value| !value.is_empty());
    match text("ScheduleType").as_deref() {
        None => return Ok(None),
        Some("fixed") => {}
        Some(_) => return Err(TwilioError::SCHEDULE_TYPE),
    }
    if service_sid(request).is_none() {
        return Err(TwilioError::SCHEDULE_WITHOUT_SERVICE);
    }
    let send_at = text("SendAt").and_then(|text| parse_date(&text)).ok_or(TwilioError::SEND_AT_MISSING)?;
    match send_at - now {
        wait if wait <= SCHEDULE_MIN => Err(TwilioError::SEND_AT_TOO_NEAR),
        wait if wait > SCHEDULE_MAX => Err(TwilioError::SEND_AT_TOO_FAR),
        _ => Ok(Some(send_at)),
    }
}

fn read_validity(request: &TwilioRequest, start: Timestamp) -> Result<Option<Timestamp>, TwilioError> {
    let Some(text) = request.fields.text(&["ValidityPeriod"]).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let seconds = text.parse().ok().filter(|seconds| VALIDITY_SECONDS.contains(seconds));
    let seconds: i64 = seconds.ok_or(TwilioError::VALIDITY_INVALID)?;
    Ok(Some(start + TimeDelta::seconds(seconds)))
}

fn read_idempotency_token(request: &TwilioRequest) -> Result<Option<RequestIdempotencyKey>, TwilioError> {
    let Some(header) = IDEMPOTENCY_HEADERS.iter().find_map(|name| request.headers.get(*name)) else {
        return Ok(None);
    };
    let token = header.to_str().ok().filter(|token| {
        (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let token = token.ok_or(TwilioError::IDEMPOTENCY_INVALID)?;
    let fields = ["To", "From", "MessagingServiceSid", "Body", "SendAt", "ValidityPeriod", "StatusCallback"];
    let values = fields.map(|name| request.fields.text(&[name]).unwrap_or_default());
    Ok(Some(RequestIdempotencyKey {
        scope: format!("twilio/{}", request.caller.api_key_name),
        key: token.to_owned(),
        fingerprint: values.join("\0"),
    }))
}

/// Returns the facts of a message before it is stored, so that the answer needs no read.
fn facts_of_request(
    gateway: &Gateway,
    accept_request: &AcceptRequest,
    request: &TwilioRequest,
    now: Timestamp,
) -> MessageFacts {
    let service_sid = service_sid(request);
    let written_to = accept_request.addresses.first().map(|(_, to)| to.as_str()).unwrap_or_default();
    let to = parse_address(AddressKind::Phone, written_to, &gateway.config.phone);
    let status = match (&accept_request.send_at, &service_sid) {
        (Some(_), _) => "scheduled",
        (None, Some(_)) => "accepted",
        (None, None) => "queued",
    };
    MessageFacts {
        id: postrider_core::id::MessageId::from_bytes([0; 16]),
        body: accept_request.body.clone(),
        from: accept_request.sender.clone(),
        to: to.unwrap_or_else(|_| written_to.to_owned()),
        created_at: now,
        updated_at: now,
        sent_at: None,
        parts: 0,
        service_sid,
        status,
        error_code: None,
    }
}
