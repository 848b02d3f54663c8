//! The field readers of `POST /v1/messages`, except for recipients and channels.
//!
//! Each reader reports a violation and returns a default, so that the remaining fields are read as well.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use serde_json::Value;

use super::super::fields::ObjectReader;
use postrider_core::clock::Timestamp;
use postrider_core::duration::parse_duration;
use postrider_core::priority::Priority;
use postrider_engine::events;
use postrider_engine::gateway::Gateway;

/// Fields of the request body.
pub(super) const FIELDS: [&str; 11] = [
    "to",
    "channels",
    "subject",
    "body",
    "user_id",
    "send_at",
    "expires_at",
    "ttl",
    "priority",
    "expects_reply",
    "callback_url",
];

/// Maximum length of a user id, in characters.
const USER_ID_CHARS_MAX: usize = 255;

/// Maximum length of `callback_url`, in bytes.
const CALLBACK_URL_BYTES_MAX: usize = 2_048;

impl ObjectReader<'_> {
    pub(super) fn body(&mut self, gateway: &Gateway) -> String {
        let chars_max = gateway.config.limits.message_chars_max;
        match self.get("body") {
            Some(Value::String(text)) if text.is_empty() => self.add_violation("body", "must not be empty"),
            Some(Value::String(text)) if text.chars().count() > chars_max => {
                self.add_violation("body", format!("must not be longer than {chars_max} characters"));
            }
            Some(Value::String(text)) if text.contains('\0') => {
                self.add_violation("body", "must not contain the character NUL");
            }
            Some(Value::String(text)) => return text.clone(),
            Some(_) => self.add_violation("body", "must be a string"),
            None => self.add_violation("body", "is missing"),
        }
        String::new()
    }

    pub(super) fn user_id(&mut self) -> Option<String> {
        match self.get("user_id")? {
            Value::String(user) if (1..=USER_ID_CHARS_MAX).contains(&user.chars().count()) => {
                return Some(user.clone());
            }
            _ => self.add_violation("user_id", "must be a string of 1 to 255 characters"),
        }
        None
    }

    pub(super) fn priority(&mut self) -> Option<Priority> {
        match self.get("priority")?.as_str() {
            Some("high") => return Some(Priority::High),
            Some("normal") => return Some(Priority::Normal),
            _ => self.add_violation("priority", "must be \"high\" or \"normal\""),
        }
        None
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        let flag = self.get(name)?.as_bool();
        if flag.is_none() {
            self.add_violation(name, "must be true or false");
        }
        flag
    }

    /// Returns the URL for webhook events of this message.
    pub(super) fn callback_url(&mut self, gateway: &Gateway) -> Option<String> {
        let url = match self.get("callback_url")?.as_str() {
            None => Err("must be a string".to_owned()),
            Some(text) if text.len() > CALLBACK_URL_BYTES_MAX => {
                Err(format!("must not be longer than {CALLBACK_URL_BYTES_MAX} bytes"))
            }
            Some(text) => events::validate_callback_url(gateway, text),
        };
        url.map_err(|detail| self.add_violation("callback_url", detail)).ok()
    }

    pub(super) fn timestamp(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.get(name)?.as_str().unwrap_or_default();
        match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Some(time.to_utc()),
            Err(_) => {
                self.add_violation(name, "must be a time such as \"2030-01-31T08:30:00Z\"");
                None
            }
        }
    }

    /// Returns `expires_at`, or `ttl` after `start`, the earliest send time.
    pub(super) fn expiry(&mut self, start: Timestamp) -> Option<Timestamp> {
        let expires_at = self.timestamp("expires_at");
        let Some(ttl) = self.get("ttl") else {
            return expires_at;
        };
        if self.get("expires_at").is_some() {
            self.add_violation("ttl", "cannot be combined with expires_at");
            return None;
        }
        let end = parse_ttl(ttl).and_then(|ttl| start.checked_add_signed(TimeDelta::from_std(ttl).ok()?));
        if end.is_none() {
            self.add_violation("ttl", "must be a number of seconds or a duration such as \"10m\"");
        }
        end
    }
}

fn parse_ttl(ttl: &Value) -> Option<Duration> {
    let duration = match ttl {
        Value::Number(seconds) => Duration::from_secs(seconds.as_u64()?),
        Value::String(text) => parse_duration(text).ok()?,
        _ => return None,
    };
    (!duration.is_zero()).then_some(duration)
}
