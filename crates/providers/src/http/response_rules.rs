//! What an answer means: the operator's rules first, then what HTTP itself says.
//!
//! A status that speaks of our request (401, 404) takes the provider out of the rotation, one that speaks of
//! its own trouble (5xx) passes the message on, one that speaks of the message (422) ends it. An answer that
//! promises success but cannot be read to its end is `unknown`: it may have been sent.

use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::header::LOCATION;

use super::json_path::JsonPath;
use super::response::{ParsedResponse, ResponseField, retry_after};
use super::settings::{HttpSettings, ResponseRuleSettings};
use crate::http_client::{BodyEnd, HttpResponse};
use crate::outcome_kind::OutcomeKind;
use crate::settings_reader::{parse_reference, sanitize_text};
use postrider_core::attempt::SendResult;
use postrider_core::error::{Error, Result};

/// All that is known about reading a provider's answers.
pub(super) struct ResponseRules {
    rules: Vec<ResponseRule>,
    reference: Option<ResponseField>,
    code: Option<ResponseField>,
    reason: Option<ResponseField>,
    /// Whether anything is looked up in JSON.
    uses_json: bool,
    /// Whether a success without a readable body means nothing.
    requires_body: bool,
    /// Whether a success must be JSON, because its reference stands there.
    requires_json: bool,
}

struct ResponseRule {
    statuses: Vec<RangeInclusive<u16>>,
    body: Option<BodyMatcher>,
    outcome: OutcomeKind,
    reason: Option<String>,
    retry_after: Option<Duration>,
}

enum BodyMatcher {
    Contains(Vec<u8>),
    Equals(JsonPath, String),
    /// Present, but something else.
    NotEquals(JsonPath, String),
}

impl ResponseRules {
    /// Reads the settings' places and rules.
    pub fn parse(settings: &HttpSettings) -> Result<Self> {
        let place = |key: &str, text: &Option<String>| {
            let place = text.as_deref().map(ResponseField::parse).transpose();
            place.map_err(|cause| Error::usage(format!("{key}: {cause}")))
        };
        let rules = settings.rules.iter().enumerate().map(|(index, rule)| {
            ResponseRule::parse(rule).map_err(|cause| Error::usage(format!("rules[{index}].{cause}")))
        });
        let mut read = Self {
            rules: rules.collect::<Result<_>>()?,
            reference: place("reference", &settings.reference)?,
            code: place("code", &settings.code)?,
            reason: place("reason", &settings.reason)?,
            uses_json: false,
            requires_body: false,
            requires_json: false,
        };
        let in_json = |place: &Option<ResponseField>| matches!(place, Some(ResponseField::Json(_)));
        let tests: Vec<_> = read.rules.iter().filter_map(|rule| rule.body.as_ref()).collect();
        let tests_json = tests
            .iter()
            .any(|test| matches!(test, BodyMatcher::Equals(..) | BodyMatcher::NotEquals(..)));
        let in_body = read
            .reference
            .as_ref()
            .is_some_and(|place| !matches!(place, ResponseField::Header(_)));
        read.requires_body = in_body || !tests.is_empty();
        read.requires_json = in_json(&read.reference);
        read.uses_json = read.requires_json || tests_json || in_json(&read.code) || in_json(&read.reason);
        Ok(read)
    }

    /// What the answer means.
    pub fn send_result(&self, answered: &HttpResponse) -> SendResult {
        let json = self
            .uses_json
            .then(|| serde_json::from_slice(&answered.body).ok())
            .flatten();
        let reading = ParsedResponse {
            response: answered,
            json,
        };
        let code = self.code.as_ref().and_then(|place| reading.find(place));
        let code = code
            .map(|code| sanitize_text(&code))
            .filter(|code| !code.is_empty());
        let code = code.unwrap_or_else(|| format!("HTTP {}", answered.status));
        SendResult {
            outcome: self.outcome(&reading),
            code: Some(code),
        }
    }

    fn outcome(&self, reading: &ParsedResponse) -> postrider_core::attempt::Outcome {
        let status = reading.response.status;
        let asked = retry_after(&reading.response.headers);
        let rule = self.rules.iter().find(|rule| rule.is_match(reading));
        if (200..300).contains(&status)
            && let Some(doubt) = self.uncertain_reason(reading, rule.is_some())
        {
            return OutcomeKind::Unknown.into_outcome(None, doubt, None);
        }
        let fate = rule.map_or_else(
            || default_outcome_kind(status, asked.is_some()),
            |rule| rule.outcome,
        );
        let found = self.reference.as_ref().filter(|_| fate == OutcomeKind::Accepted);
        let found = found
            .and_then(|place| reading.find(place))
            .and_then(|text| parse_reference(&text));
        let reason = rule.and_then(|rule| rule.reason.clone());
        let reason = match fate {
            OutcomeKind::Accepted | OutcomeKind::Throttled => String::new(),
            OutcomeKind::Deferred
            | OutcomeKind::Unavailable
            | OutcomeKind::Rejected
            | OutcomeKind::InvalidRecipient
            | OutcomeKind::Misconfigured
            | OutcomeKind::Unknown => reason.unwrap_or_else(|| self.reason(reading)),
        };
        fate.into_outcome(found, reason, asked.or(rule.and_then(|rule| rule.retry_after)))
    }

    /// Why a success may be none, if so. `ruled`: the operator has said what this answer means.
    fn uncertain_reason(&self, reading: &ParsedResponse, ruled: bool) -> Option<String> {
        let status = reading.response.status;
        match reading.response.body_end {
            BodyEnd::Interrupted => Some(format!("HTTP {status}, but the connection broke in mid-answer")),
            BodyEnd::Truncated if self.requires_body => {
                Some(format!("HTTP {status}, but the answer is too long to read"))
            }
            // 204 says itself that there is nothing to read.
            BodyEnd::Complete if self.requires_json && reading.json.is_none() && !ruled && status != 204 => {
                Some(format!("HTTP {status}, but the answer is not JSON"))
            }
            BodyEnd::Truncated | BodyEnd::Complete => None,
        }
    }

    /// In the provider's words, else by its status.
    fn reason(&self, reading: &ParsedResponse) -> String {
        let answered = reading.response;
        if (300..400).contains(&answered.status) {
            let target = answered
                .headers
                .get(LOCATION)
                .map(|value| String::from_utf8_lossy(value.as_bytes()));
            let target = target.as_deref().unwrap_or("nowhere");
            // What stands behind the question mark may be a secret, and this is shown.
            let target = sanitize_text(target.split(['?', '#']).next().unwrap_or(target));
            return sanitize_text(&format!(
                "redirects to {target}; if that is right, make it the url"
            ));
        }
        let found = self.reason.as_ref().and_then(|place| reading.find(place));
        let text = found.unwrap_or_else(|| String::from_utf8_lossy(&answered.body).into_owned());
        let text = sanitize_text(&text);
        if text.is_empty() {
            format!("HTTP {}", answered.status)
        } else {
            text
        }
    }
}

/// What a status means when no rule says otherwise.
fn default_outcome_kind(status: u16, says_when: bool) -> OutcomeKind {
    match status {
        200..300 => OutcomeKind::Accepted,
        429 => OutcomeKind::Throttled,
        503 if says_when => OutcomeKind::Throttled,
        408 | 425 => OutcomeKind::Unavailable,
        // Our account (401 to 403, 407), our URL (404, 405, 410, 501), our content type (406, 415), a redirect.
        300..400 | 401..=407 | 410 | 415 | 501 => OutcomeKind::Misconfigured,
        400..500 => OutcomeKind::Rejected,
        500..600 => OutcomeKind::Unavailable,
        _ => OutcomeKind::Unknown,
    }
}

impl ResponseRule {
    fn parse(settings: &ResponseRuleSettings) -> Result<Self, String> {
        if settings.status.is_none() && settings.body.is_none() {
            return Err("status: is missing, and so is body; say which answers are meant".to_owned());
        }
        Ok(Self {
            statuses: settings
                .status
                .as_deref()
                .map_or(Ok(Vec::new()), parse_statuses)?,
            body: settings.body.as_deref().map(BodyMatcher::parse).transpose()?,
            outcome: settings.outcome,
            reason: settings.reason.as_deref().map(sanitize_text),
            retry_after: settings.retry_after,
        })
    }

    fn is_match(&self, reading: &ParsedResponse) -> bool {
        let status = reading.response.status;
        let meant = self.statuses.is_empty() || self.statuses.iter().any(|range| range.contains(&status));
        meant && self.body.as_ref().is_none_or(|test| test.is_match(reading))
    }
}

/// Reads `2xx`, `429`, `400-499`, or several with commas.
fn parse_statuses(text: &str) -> Result<Vec<RangeInclusive<u16>>, String> {
    text.split(',')
        .map(|part| parse_status_range(part.trim()))
        .collect::<Option<_>>()
        .ok_or_else(|| {
            "status: is not a status; write \"2xx\", \"429\", \"400-499\" or several with commas".to_owned()
        })
}

fn parse_status_range(text: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| {
        text.trim()
            .parse()
            .ok()
            .filter(|status| (100..1000).contains(status))
    };
    if let Some(class) = text.strip_suffix("xx") {
        let class = class
            .parse::<u16>()
            .ok()
            .filter(|class| (1..10).contains(class))?;
        return Some(class * 100..=class * 100 + 99);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some(first..=last)
}

impl BodyMatcher {
    fn parse(text: &str) -> Result<Self, String> {
        let Some(test) = text.strip_prefix("json:") else {
            return if text.is_empty() {
                Err("body: is empty; write a part of the body, or leave it out".to_owned())
            } else {
                Ok(Self::Contains(text.as_bytes().to_owned()))
            };
        };
        if let Some((path, value)) = test.split_once("!=") {
            return Ok(Self::NotEquals(
                JsonPath::parse(path.trim()),
                value.trim().to_owned(),
            ));
        }
        let Some((path, value)) = test.split_once('=') else {
            return Err("body: says where in the JSON, but not what; write json:PATH=VALUE".to_owned());
        };
        Ok(Self::Equals(
            JsonPath::parse(path.trim()),
            value.trim().to_owned(),
        ))
    }

    fn is_match(&self, reading: &ParsedResponse) -> bool {
        let found = |path: &JsonPath| path.text(reading.json.as_ref()?);
        match self {
            Self::Contains(part) => {
                let body = &reading.response.body;
                body.windows(part.len()).any(|window| window == part)
            }
            Self::Equals(path, value) => found(path).is_some_and(|found| found == *value),
            Self::NotEquals(path, value) => found(path).is_some_and(|found| found != *value),
        }
    }
}

#[cfg(test)]
mod tests;
