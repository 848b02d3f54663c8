//! Reads `POST /v1/messages`: a JSON object becomes a request, or a list of everything that is wrong with it.
//!
//! Each field is looked at even when another one is wrong, so that a client's developer fixes all at once.
//! To whom and over which channels is read in `address`; addresses are judged by `flow/accept`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use serde_json::{Map, Value};

use crate::problem::Violation;
use postrider_core::clock::Timestamp;
use postrider_core::duration::parse_duration;
use postrider_core::priority::Priority;
use postrider_engine::accept::AcceptRequest;
use postrider_engine::events;
use postrider_engine::gateway::Gateway;

mod recipients;

/// What the object may hold.
const FIELDS: [&str; 11] = [
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

/// The longest name of a person, in characters.
const USER_ID_CHARS_MAX: usize = 255;

/// The longest address of a receiver of events, in bytes.
const CALLBACK_URL_BYTES_MAX: usize = 2_048;

/// The request the object asks for, without its idempotency key.
pub(super) fn parse_submission(
    gateway: &Gateway,
    object: &Map<String, Value>,
) -> Result<AcceptRequest, Vec<Violation>> {
    let mut fields = SubmissionReader {
        object,
        violations: Vec::new(),
    };
    fields.check_unknown_fields();
    let send_at = fields.timestamp("send_at");
    let request = AcceptRequest {
        subject: fields.subject(),
        body: fields.body(gateway),
        user: fields.user_id(),
        priority: fields.priority(),
        expects_reply: fields.boolean("expects_reply"),
        callback_url: fields.callback_url(gateway),
        expires_at: fields.expiry(send_at.unwrap_or_else(|| gateway.clock.now())),
        send_at,
        ..recipients::read_recipients(&mut fields, gateway)
    };
    if fields.violations.is_empty() {
        Ok(request)
    } else {
        Err(fields.violations)
    }
}

struct SubmissionReader<'a> {
    object: &'a Map<String, Value>,
    violations: Vec<Violation>,
}

impl<'a> SubmissionReader<'a> {
    /// A field that is there and not null.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn add_violation(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        self.violations.push(Violation::new(field, detail));
    }

    fn check_unknown_fields(&mut self) {
        let unknown = self.object.keys().filter(|name| !FIELDS.contains(&name.as_str()));
        for name in unknown {
            let known = FIELDS.join(", ");
            self.violations.push(Violation::new(
                name,
                format!("there is no such field; known are {known}"),
            ));
        }
    }

    fn body(&mut self, gateway: &Gateway) -> String {
        let longest = gateway.config.limits.message_chars_max;
        match self.get("body") {
            Some(Value::String(text)) if text.is_empty() => self.add_violation("body", "must not be empty"),
            Some(Value::String(text)) if text.chars().count() > longest => {
                self.add_violation("body", format!("must not be longer than {longest} characters"));
            }
            Some(Value::String(text)) if text.contains('\0') => {
                self.add_violation("body", "must not contain the character NUL");
            }
            Some(Value::String(text)) => return text.clone(),
            Some(_) => self.add_violation("body", "must be a text"),
            None => self.add_violation("body", "is missing"),
        }
        String::new()
    }

    fn subject(&mut self) -> Option<String> {
        let subject = self.get("subject")?.as_str();
        if subject.is_none() {
            self.add_violation("subject", "must be a text");
        }
        subject.map(str::to_owned)
    }

    fn user_id(&mut self) -> Option<String> {
        match self.get("user_id")? {
            Value::String(user) if (1..=USER_ID_CHARS_MAX).contains(&user.chars().count()) => {
                return Some(user.clone());
            }
            _ => self.add_violation("user_id", "must be a text of 1 to 255 characters"),
        }
        None
    }

    fn priority(&mut self) -> Option<Priority> {
        match self.get("priority")?.as_str() {
            Some("high") => return Some(Priority::High),
            Some("normal") => return Some(Priority::Normal),
            _ => self.add_violation("priority", "must be \"high\" or \"normal\""),
        }
        None
    }

    fn boolean(&mut self, name: &str) -> Option<bool> {
        let flag = self.get(name)?.as_bool();
        if flag.is_none() {
            self.add_violation(name, "must be true or false");
        }
        flag
    }

    /// Where the client wants to be told what becomes of the message.
    fn callback_url(&mut self, gateway: &Gateway) -> Option<String> {
        let read = match self.get("callback_url")?.as_str() {
            None => Err("must be a text".to_owned()),
            Some(text) if text.len() > CALLBACK_URL_BYTES_MAX => {
                Err(format!("must not be longer than {CALLBACK_URL_BYTES_MAX} bytes"))
            }
            Some(text) => events::validate_callback_url(gateway, text),
        };
        read.map_err(|wrong| self.add_violation("callback_url", wrong))
            .ok()
    }

    fn timestamp(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.get(name)?.as_str().unwrap_or_default();
        match DateTime::parse_from_rfc3339(text) {
            Ok(moment) => Some(moment.to_utc()),
            Err(_) => {
                self.add_violation(name, "must be a time such as \"2030-01-31T08:30:00Z\"");
                None
            }
        }
    }

    /// `expires_at`, or `ttl` counted from when it may be sent.
    fn expiry(&mut self, start: Timestamp) -> Option<Timestamp> {
        let expires_at = self.timestamp("expires_at");
        let Some(ttl) = self.get("ttl") else {
            return expires_at;
        };
        if self.get("expires_at").is_some() {
            self.add_violation("ttl", "must not stand beside expires_at; use one of them");
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::PartialSchema;

    use super::FIELDS;
    use crate::openapi::MessageSubmission;

    #[test]
    fn the_fields_that_are_read_are_those_that_are_described() {
        let form = serde_json::to_value(MessageSubmission::schema()).unwrap();
        let described = form["properties"].as_object().unwrap().keys().map(String::as_str);
        assert_eq!(described.collect::<BTreeSet<_>>(), BTreeSet::from(FIELDS));
        assert_eq!(form["additionalProperties"], false, "others are refused");
    }
}
