//! Parses `POST /v1/messages`: a JSON object becomes an [`AcceptRequest`], or a list of all invalid fields.
//!
//! Recipients and channels are parsed in `recipients`; `postrider_engine::accept` validates the addresses.

mod recipients;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{AnyOfBuilder, Object, ObjectBuilder, Schema, Type};

use self::recipients::{read_recipients, recipients_schema};
use crate::json_fields::{ObjectReader, json_body};
use crate::problem::Violation;
use postrider_core::clock::Timestamp;
use postrider_core::duration::parse_duration;
use postrider_core::priority::Priority;
use postrider_engine::accept::AcceptRequest;
use postrider_engine::events;
use postrider_engine::gateway::Gateway;

/// Maximum length of a user id, in characters.
const USER_ID_CHARS_MAX: usize = 255;

/// Maximum length of `callback_url`, in bytes.
const CALLBACK_URL_BYTES_MAX: usize = 2_048;

json_body! {
    /// A message, as the native API accepts it.
    pub(super) struct MessageSubmission {
        #[schema(schema_with = recipients_schema)]
        to: Value,
        /// The channels; by default those that `to` names, or the usual ones.
        #[schema(min_items = 1, max_items = 64, example = json!(["sms"]))]
        channels: Option<Vec<String>>,
        /// Subject line, for providers that support one.
        #[schema(max_length = 255)]
        subject: Option<String>,
        /// The message text. The configuration limits its length.
        #[schema(min_length = 1)]
        body: String,
        /// User id, assigned by the client.
        #[schema(min_length = 1, max_length = 255)]
        user_id: Option<String>,
        /// Not sent before this time.
        #[schema(format = DateTime)]
        send_at: Option<String>,
        /// Not sent after this time.
        #[schema(format = DateTime)]
        expires_at: Option<String>,
        #[schema(schema_with = ttl_schema)]
        ttl: Option<Value>,
        /// `high` is sent before `normal`.
        #[schema(pattern = "^(high|normal)$")]
        priority: Option<String>,
        /// `true` if the message must never be sent a second time: after a call without an answer it fails as `unknown`.
        at_most_once: Option<bool>,
        /// `true` if the user is expected to answer; such messages count toward the user's limit.
        expects_reply: Option<bool>,
        /// Webhook URL for state changes: an https URL that the configuration allows.
        #[schema(min_length = 1, max_length = 2048)]
        callback_url: Option<String>,
    }
}

fn ttl_schema() -> Schema {
    AnyOfBuilder::new()
        .description(Some("Alternative to `expires_at`: lifetime in seconds, or a duration such as `10m`."))
        .item(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)))
        .item(Object::with_type(Type::String))
        .item(Object::with_type(Type::Null))
        .build()
        .into()
}

/// Parses the request without its idempotency key, or returns all invalid fields.
pub(super) fn parse_submission(
    gateway: &Gateway,
    object: &Map<String, Value>,
) -> Result<AcceptRequest, Vec<Violation>> {
    let mut message_fields = ObjectReader::new(object, "").refuse_unknown(MessageSubmission::FIELDS);
    let send_at = read_time(&mut message_fields, "send_at");
    let request = AcceptRequest {
        subject: message_fields.string("subject"),
        body: read_body(&mut message_fields, gateway).unwrap_or_default(),
        user: message_fields.read("user_id", "must be a string of 1 to 255 characters", parse_user_id),
        priority: message_fields.read("priority", "must be \"high\" or \"normal\"", parse_priority),
        at_most_once: message_fields.boolean("at_most_once").unwrap_or(false),
        expects_reply: message_fields.boolean("expects_reply"),
        callback_url: read_callback_url(&mut message_fields, gateway),
        expires_at: read_expiry(&mut message_fields, send_at.unwrap_or_else(|| gateway.clock.now())),
        send_at,
        ..read_recipients(&mut message_fields, gateway)
    };
    message_fields.finish(request)
}

fn read_body(message_fields: &mut ObjectReader<'_>, gateway: &Gateway) -> Option<String> {
    let chars_max = gateway.config.limits.message_chars_max;
    let message_body = message_fields.required_string("body")?;
    if message_body.is_empty() {
        message_fields.add_violation("body", "must not be empty");
    } else if message_body.chars().count() > chars_max {
        message_fields.add_violation("body", format!("must not be longer than {chars_max} characters"));
    } else if message_body.contains('\0') {
        message_fields.add_violation("body", "must not contain the character NUL");
    }
    Some(message_body)
}

fn parse_user_id(json: &Value) -> Option<String> {
    let user_id = json.as_str()?;
    (1..=USER_ID_CHARS_MAX).contains(&user_id.chars().count()).then(|| user_id.to_owned())
}

fn parse_priority(json: &Value) -> Option<Priority> {
    match json.as_str()? {
        "high" => Some(Priority::High),
        "normal" => Some(Priority::Normal),
        _ => None,
    }
}

/// Returns the URL for webhook events of this message.
fn read_callback_url(message_fields: &mut ObjectReader<'_>, gateway: &Gateway) -> Option<String> {
    let url = message_fields.string("callback_url")?;
    let validated = if url.len() > CALLBACK_URL_BYTES_MAX {
        Err(format!("must not be longer than {CALLBACK_URL_BYTES_MAX} bytes"))
    } else {
        events::validate_callback_url(gateway, &url)
    };
    validated.map_err(|detail| message_fields.add_violation("callback_url", detail)).ok()
}

fn read_time(message_fields: &mut ObjectReader<'_>, name: &str) -> Option<Timestamp> {
    message_fields.read(name, "must be a time such as \"2030-01-31T08:30:00Z\"", |json| {
        DateTime::parse_from_rfc3339(json.as_str()?).ok().map(|time| time.to_utc())
    })
}

/// Returns `expires_at`, or `ttl` after `ttl_start`, the earliest send time.
fn read_expiry(message_fields: &mut ObjectReader<'_>, ttl_start: Timestamp) -> Option<Timestamp> {
    let expires_at = read_time(message_fields, "expires_at");
    if message_fields.get("expires_at").is_some() && message_fields.get("ttl").is_some() {
        message_fields.add_violation("ttl", "cannot be combined with expires_at");
        return None;
    }
    let end_of_ttl =
        message_fields.read("ttl", "must be a number of seconds or a duration such as \"10m\"", |json| {
            ttl_start.checked_add_signed(TimeDelta::from_std(parse_ttl(json)?).ok()?)
        });
    end_of_ttl.or(expires_at)
}

fn parse_ttl(json: &Value) -> Option<Duration> {
    let ttl = match json {
        Value::Number(seconds) => Duration::from_secs(seconds.as_u64()?),
        Value::String(text) => parse_duration(text).ok()?,
        _ => return None,
    };
    (!ttl.is_zero()).then_some(ttl)
}
