//! Locations in a response, and the values found there.
//!
//! A missing value is None; only an invalid location in the settings is an error.

use regex::bytes::{Regex, RegexBuilder};
use reqwest::header::HeaderName;
use serde_json::Value;

use crate::http_response::HttpResponse;
use crate::json_path::JsonPath;
use crate::provider_text::sanitize_text;

/// Maximum number of bytes of a body that a regular expression examines, and maximum size of a compiled expression.
const REGEX_BYTES_MAX: usize = 256 * 1024;

/// The location of a value in a response.
pub(super) enum ResponseField {
    Json(JsonPath),
    Header(HeaderName),
    Regex(Regex),
    Body,
}

/// A response, and its JSON when a rule or a location needs the JSON.
pub(super) struct ParsedResponse<'a> {
    pub response: &'a HttpResponse,
    /// None when the body is not JSON or no location is in JSON.
    pub json: Option<Value>,
}

impl ParsedResponse<'_> {
    /// Returns the value at the location.
    pub fn find(&self, field: &ResponseField) -> Option<String> {
        let response_body = &self.response.body;
        match field {
            ResponseField::Json(path) => path.text(self.json.as_ref()?),
            ResponseField::Header(name) => {
                let header_value = self.response.headers.get(name)?;
                Some(String::from_utf8_lossy(header_value.as_bytes()).into_owned())
            }
            ResponseField::Regex(regex) => {
                let captures = regex.captures(&response_body[..response_body.len().min(REGEX_BYTES_MAX)])?;
                let capture = captures.get(1).or_else(|| captures.get(0))?;
                Some(String::from_utf8_lossy(capture.as_bytes()).into_owned())
            }
            ResponseField::Body => Some(String::from_utf8_lossy(response_body).into_owned()),
        }
    }
}

impl ResponseField {
    /// Parses `json:PATH`, `header:NAME`, `regex:PATTERN` or `body`. The error says how to write a location.
    pub fn parse(location: &str) -> Result<Self, String> {
        if location == "body" {
            return Ok(Self::Body);
        }
        match location.split_once(':') {
            Some(("json", path)) => Ok(Self::Json(JsonPath::parse(path))),
            Some(("header", name)) => HeaderName::from_bytes(name.trim().as_bytes())
                .map(Self::Header)
                .map_err(|_| "invalid header name; write letters, digits and -".to_owned()),
            Some(("regex", pattern)) => RegexBuilder::new(pattern)
                .size_limit(REGEX_BYTES_MAX)
                .build()
                .map(Self::Regex)
                .map_err(|cause| sanitize_text(&format!("invalid regular expression: {cause}"))),
            _ => Err("unknown location; write json:PATH, header:NAME, regex:PATTERN or body".to_owned()),
        }
    }
}
