//! The outcome of a response: the operator's rules first, then the outcomes of HTTP statuses.
//!
//! A success is `Unknown` if its body could not be read to its end, if it lacks the JSON with the reference, or if it
//! is doubtful (see `doubt`): the message may have been sent.

use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::header::LOCATION;

use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::error::{Error, Result};

use super::doubt::doubt;
use super::response::{ParsedResponse, ResponseField};
use super::settings::{HttpSettings, ResponseRuleSettings};
use crate::http_response::{BodyEnd, HttpResponse};
use crate::http_status::{outcome_of_status, status_code};
use crate::json_path::JsonPath;
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::{parse_reference, sanitize_text};

/// The rules and locations of one provider.
pub(super) struct ResponseRules {
    rules: Vec<ResponseRule>,
    reference: Option<ResponseField>,
    code: Option<ResponseField>,
    reason: Option<ResponseField>,
    /// True if a rule or a location needs JSON.
    uses_json: bool,
    /// True if a success is confirmed only by its whole body.
    requires_body: bool,
    /// True if the provider gets or returns JSON. A success without a body then confirms nothing.
    expects_json: bool,
    /// True if a success is confirmed only by JSON, because the reference is in the JSON.
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
    JsonEquals(JsonPath, String),
    /// The value is present and different.
    JsonDiffers(JsonPath, String),
}

impl ResponseRules {
    /// Parses the rules and locations.
    pub fn parse(http_settings: &HttpSettings) -> Result<Self> {
        let parse_field = |key: &str, location: &Option<String>| {
            let response_field = location.as_deref().map(ResponseField::parse).transpose();
            response_field.map_err(|cause| Error::usage(format!("{key}: {cause}")))
        };
        let parse_rule = |(index, rule)| {
            ResponseRule::parse(rule).map_err(|cause| Error::usage(format!("rules[{index}].{cause}")))
        };
        let rules = http_settings.rules.iter().enumerate().map(parse_rule);
        let rules: Vec<ResponseRule> = rules.collect::<Result<_>>()?;
        let reference = parse_field("reference", &http_settings.reference)?;
        let code = parse_field("code", &http_settings.code)?;
        let reason = parse_field("reason", &http_settings.reason)?;
        let is_json =
            |response_field: &Option<ResponseField>| matches!(response_field, Some(ResponseField::Json(_)));
        let mut body_matchers = rules.iter().filter_map(|rule| rule.body.as_ref()).peekable();
        let sends_json = http_settings.json.is_some()
            || http_settings
                .content_type
                .as_deref()
                .is_some_and(|content_type| content_type.contains("json"));
        let has_reference_in_body = !matches!(reference, None | Some(ResponseField::Header(_)));
        let uses_json = [&reference, &code, &reason].into_iter().any(is_json)
            || rules.iter().filter_map(|rule| rule.body.as_ref()).any(BodyMatcher::is_json);
        Ok(Self {
            expects_json: sends_json || uses_json,
            uses_json,
            requires_body: has_reference_in_body || body_matchers.peek().is_some(),
            requires_json: is_json(&reference),
            rules,
            reference,
            code,
            reason,
        })
    }

    /// Returns the send result of a response.
    pub fn send_result(&self, response: &HttpResponse) -> SendResult {
        let parse_json = || serde_json::from_slice(&response.body).ok();
        let parsed_response = ParsedResponse { response, json: self.uses_json.then(parse_json).flatten() };
        let provider_code = self.code.as_ref().and_then(|field| parsed_response.find(field));
        let provider_code = provider_code
            .map(|provider_code| sanitize_text(&provider_code))
            .filter(|provider_code| !provider_code.is_empty());
        SendResult {
            outcome: self.outcome(&parsed_response),
            code: Some(provider_code.unwrap_or_else(|| status_code(response.status))),
        }
    }

    fn outcome(&self, parsed_response: &ParsedResponse) -> Outcome {
        let http_status = parsed_response.response.status;
        let is_success = (200..300).contains(&http_status);
        let retry_after = parsed_response.response.retry_after();
        let rule = self.rules.iter().find(|rule| rule.is_match(parsed_response));
        if is_success && let Some(reason) = self.unconfirmed_reason(parsed_response, rule.is_some()) {
            return Outcome::Unknown { reason };
        }
        let outcome = match rule {
            Some(rule) => rule.outcome,
            None if is_success => OutcomeKind::Accepted,
            // A firewall in front of the API answers 403 to one text, so it is no verdict on the account.
            None if http_status == 403 => OutcomeKind::Unavailable,
            None => outcome_of_status(http_status, retry_after),
        };
        let reference = match outcome {
            OutcomeKind::Accepted => self.reference.as_ref().and_then(|field| parsed_response.find(field)),
            _ => None,
        };
        let reference = reference.and_then(|reference| parse_reference(&reference));
        if rule.is_none()
            && is_success
            && let Some(reason) = self.doubt(parsed_response, reference.as_deref())
        {
            return Outcome::Unknown { reason };
        }
        let reason = match (outcome, rule.and_then(|rule| rule.reason.clone())) {
            (OutcomeKind::Accepted | OutcomeKind::Throttled, _) => String::new(),
            (_, Some(reason)) => reason,
            (_, None) => self.provider_reason(parsed_response),
        };
        let retry_after = retry_after.or(rule.and_then(|rule| rule.retry_after));
        outcome.into_outcome(reference, reason, retry_after)
    }

    /// Returns the reason why a success does not confirm the message.
    fn unconfirmed_reason(&self, parsed_response: &ParsedResponse, has_rule: bool) -> Option<String> {
        let http_status = parsed_response.response.status;
        match parsed_response.response.body_end {
            BodyEnd::Interrupted => {
                Some(format!("HTTP {http_status}, but the connection broke during the response"))
            }
            BodyEnd::Truncated if self.requires_body => {
                Some(format!("HTTP {http_status}, but the response is too long to read"))
            }
            // The status 204 means that there is no body.
            BodyEnd::Complete
                if self.requires_json
                    && parsed_response.json.is_none()
                    && !has_rule
                    && http_status != 204 =>
            {
                Some(format!("HTTP {http_status}, but the response is not JSON"))
            }
            BodyEnd::Truncated | BodyEnd::Complete => None,
        }
    }

    /// Returns why a success without a rule is doubtful. A reference that the operator located in the body outweighs an
    /// error field, but not a page for people.
    fn doubt(&self, parsed_response: &ParsedResponse, reference: Option<&str>) -> Option<String> {
        let is_located = reference.is_some() && !matches!(self.reference, Some(ResponseField::Body));
        if is_located || parsed_response.response.body_end != BodyEnd::Complete {
            return None;
        }
        let doubt = doubt(parsed_response.response, self.expects_json)?;
        Some(format!("HTTP {}, but {doubt}", parsed_response.response.status))
    }

    /// Returns a warning if the provider may report errors with a success status and neither a reference nor a rule on
    /// the body detects them.
    pub fn warning(&self) -> Option<String> {
        let has_evidence = self.reference.is_some() || self.rules.iter().any(|rule| rule.body.is_some());
        (!has_evidence).then(|| {
            "every 2xx response counts as accepted, because neither reference nor a rule with body tells it from an \
             error page; set reference, or a rule such as { body = \"json:status=ok\", outcome = \"accepted\" }"
                .to_owned()
        })
    }

    /// Returns the provider's text, or the target of a redirect.
    fn provider_reason(&self, parsed: &ParsedResponse) -> String {
        let response = parsed.response;
        if (300..400).contains(&response.status) {
            return redirect_reason(response);
        }
        let reason = self.reason.as_ref().and_then(|field| parsed.find(field));
        let reason = reason.unwrap_or_else(|| String::from_utf8_lossy(&response.body).into_owned());
        let reason = sanitize_text(&reason);
        if reason.is_empty() { status_code(response.status) } else { reason }
    }
}

fn redirect_reason(response: &HttpResponse) -> String {
    let location = response.headers.get(LOCATION);
    let location = location.map(|location| String::from_utf8_lossy(location.as_bytes()));
    let location = location.as_deref().unwrap_or("no location");
    // The query is removed, because it may contain a secret and the reason is shown to operators.
    let target = sanitize_text(location.split(['?', '#']).next().unwrap_or_default());
    sanitize_text(&format!("redirects to {target}; if that is right, use it as the url"))
}

impl ResponseRule {
    fn parse(rule_settings: &ResponseRuleSettings) -> Result<Self, String> {
        if rule_settings.status.is_none() && rule_settings.body.is_none() {
            return Err("status: is missing, and so is body; write which responses match".to_owned());
        }
        let statuses = rule_settings.status.as_deref();
        Ok(Self {
            statuses: statuses.map_or(Ok(Vec::new()), parse_statuses)?,
            body: rule_settings.body.as_deref().map(BodyMatcher::parse).transpose()?,
            outcome: rule_settings.outcome,
            reason: rule_settings.reason.as_deref().map(sanitize_text),
            retry_after: rule_settings.retry_after,
        })
    }

    fn is_match(&self, parsed: &ParsedResponse) -> bool {
        let status = parsed.response.status;
        let has_status =
            self.statuses.is_empty() || self.statuses.iter().any(|range| range.contains(&status));
        has_status && self.body.as_ref().is_none_or(|matcher| matcher.is_match(parsed))
    }
}

/// Parses `2xx`, `429`, `400-499`, or several with commas.
fn parse_statuses(statuses: &str) -> Result<Vec<RangeInclusive<u16>>, String> {
    let ranges = statuses.split(',').map(|range| parse_status_range(range.trim()));
    ranges.collect::<Option<_>>().ok_or_else(|| {
        "status: invalid HTTP status; write \"2xx\", \"429\", \"400-499\" or several with commas".to_owned()
    })
}

fn parse_status_range(range: &str) -> Option<RangeInclusive<u16>> {
    if let Some(class) = range.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..10).contains(class))?;
        return Some(class * 100..=class * 100 + 99);
    }
    let parse_status =
        |digits: &str| digits.trim().parse().ok().filter(|status| (100..1000).contains(status));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (parse_status(first)?, parse_status(last)?);
    (first <= last).then_some(first..=last)
}

impl BodyMatcher {
    fn parse(condition: &str) -> Result<Self, String> {
        if condition.is_empty() {
            return Err("body: is empty; write a part of the body, or leave it out".to_owned());
        }
        let Some(comparison) = condition.strip_prefix("json:") else {
            return Ok(Self::Contains(condition.as_bytes().to_owned()));
        };
        let path_and_value =
            |(path, value): (&str, &str)| (JsonPath::parse(path.trim()), value.trim().to_owned());
        if let Some((path, value)) = comparison.split_once("!=").map(path_and_value) {
            return Ok(Self::JsonDiffers(path, value));
        }
        let Some((path, value)) = comparison.split_once('=').map(path_and_value) else {
            return Err("body: a condition on JSON needs a value; write json:PATH=VALUE".to_owned());
        };
        Ok(Self::JsonEquals(path, value))
    }

    fn is_json(&self) -> bool {
        matches!(self, Self::JsonEquals(..) | Self::JsonDiffers(..))
    }

    fn is_match(&self, parsed: &ParsedResponse) -> bool {
        let find = |path: &JsonPath| path.text(parsed.json.as_ref()?);
        match self {
            Self::Contains(excerpt) => {
                parsed.response.body.windows(excerpt.len()).any(|window| window == excerpt)
            }
            Self::JsonEquals(path, value) => find(path).is_some_and(|json_value| json_value == *value),
            Self::JsonDiffers(path, value) => find(path).is_some_and(|json_value| json_value != *value),
        }
    }
}

#[cfg(test)]
mod tests;
