//! One answer of a provider, and where in it something is found.
//!
//! Takes whatever came: a place that holds nothing gives nothing, and only a wrong configuration is an error.

use std::time::Duration;

use chrono::DateTime;
use regex::bytes::{Regex, RegexBuilder};
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use serde_json::Value;

use super::json_path::JsonPath;
use crate::http_client::HttpResponse;
use crate::settings_reader::sanitize_text;
use postrider_core::clock::Clock;

/// The longest pause a provider's own Retry-After can ask for; after it, it is asked again.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// The longest body a regular expression is tried on, and the largest one may become, in bytes.
const REGEX_BYTES_MAX: usize = 256 * 1024;

/// Where in an answer something is found.
pub(super) enum ResponseField {
    Json(JsonPath),
    Header(HeaderName),
    Regex(Regex),
    Body,
}

/// An answer, read as far as it can be.
pub(super) struct ParsedResponse<'a> {
    pub response: &'a HttpResponse,
    /// The body, where it is JSON and anything is looked up in it.
    pub json: Option<Value>,
}

impl ParsedResponse<'_> {
    /// What stands there, if anything does.
    pub fn find(&self, place: &ResponseField) -> Option<String> {
        let body = &self.response.body;
        match place {
            ResponseField::Json(path) => path.text(self.json.as_ref()?),
            ResponseField::Header(name) => {
                let value = self.response.headers.get(name)?;
                Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
            }
            ResponseField::Regex(regex) => {
                let found = regex.captures(&body[..body.len().min(REGEX_BYTES_MAX)])?;
                let part = found.get(1).or_else(|| found.get(0))?;
                Some(String::from_utf8_lossy(part.as_bytes()).into_owned())
            }
            ResponseField::Body => Some(String::from_utf8_lossy(body).into_owned()),
        }
    }
}

impl ResponseField {
    /// Reads `json:PATH`, `header:NAME`, `regex:PATTERN` or `body`. The error says how to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "body" {
            return Ok(Self::Body);
        }
        let remedy = "write json:PATH, header:NAME, regex:PATTERN or body";
        match text.split_once(':') {
            Some(("json", path)) => Ok(Self::Json(JsonPath::parse(path))),
            Some(("header", name)) => HeaderName::from_bytes(name.trim().as_bytes())
                .map(Self::Header)
                .map_err(|_| "is not a header's name; write letters, digits and -".to_owned()),
            Some(("regex", pattern)) => RegexBuilder::new(pattern)
                .size_limit(REGEX_BYTES_MAX)
                .build()
                .map(Self::Regex)
                .map_err(|cause| sanitize_text(&format!("is not a regular expression: {cause}"))),
            _ => Err(format!("is not a place in an answer; {remedy}")),
        }
    }
}

/// How long the provider wants to be left alone: seconds, or a date that is compared with its own clock where
/// it tells the time.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let then = DateTime::parse_from_rfc2822(text).ok()?;
        let its_clock = headers
            .get(DATE)
            .and_then(|date| DateTime::parse_from_rfc2822(date.to_str().ok()?).ok());
        let now = its_clock.map_or_else(|| Clock::System.now(), |date| date.to_utc());
        (then.to_utc() - now).to_std().unwrap_or_default()
    };
    Some(wait.min(RETRY_AFTER_MAX))
}
