//! Reads the single fields of `POST /v1/messages` and collects what is wrong with them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use serde_json::{Map, Value};

use crate::problem::Violation;
use postrider_core::clock::Timestamp;
use postrider_core::message::Priority;
use postrider_engine::config::parse_duration;
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

/// Reads the fields of a request body and collects violations.
pub(super) struct SubmissionReader<'a> {
    object: &'a Map<String, Value>,
    violations: Vec<Violation>,
}

impl<'a> SubmissionReader<'a> {
    /// Starts reading an object.
    pub(super) fn new(object: &'a Map<String, Value>) -> Self {
        Self {
            object,
            violations: Vec::new(),
        }
    }

    /// Returns the collected violations.
    pub(super) fn into_violations(self) -> Vec<Violation> {
        self.violations
    }

    /// Returns a field that is present and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn add_violation(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        self.violations.push(Violation::new(field, detail));
    }

    pub(super) fn check_unknown_fields(&mut self) {
        let unknown = self.object.keys().filter(|name| !FIELDS.contains(&name.as_str()));
        for name in unknown {
            let known = FIELDS.join(", ");
            self.violations
                .push(Violation::new(name, format!("unknown field; known are {known}")));
        }
    }

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

    pub(super) fn subject(&mut self) -> Option<String> {
        let subject = self.get("subject")?.as_str();
        if subject.is_none() {
            self.add_violation("subject", "must be a string");
        }
        subject.map(str::to_owned)
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
        url.map_err(|detail| self.add_violation("callback_url", detail))
            .ok()
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
