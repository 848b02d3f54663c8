//! Records HTTP calls in a transcript.
//!
//! This module masks the values of headers with credentials. The transcript masks all other secrets.

use reqwest::Request;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::http_response::{BodyEnd, HttpCallResult};
use crate::transcript::{Transcript, mask_credentials};

/// Parts of the names of headers whose values are masked.
const SECRET_HEADERS: [&str; 7] =
    ["authorization", "cookie", "key", "password", "secret", "signature", "token"];

/// Records a request.
pub(crate) fn record_request(transcript: &Transcript, request: &Request) {
    let url = request.url();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    transcript.record_note(&format!(
        "{} port {}",
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default()
    ));
    transcript.record_sent(&format!("{} {}{query}", request.method(), url.path()));
    transcript.record_sent(&header_lines(request.headers()));
    if let Some(body) = request.body().and_then(reqwest::Body::as_bytes) {
        transcript.record_sent(&format!(" \n{}", String::from_utf8_lossy(body)));
    }
}

/// Records the result of a call.
pub(crate) fn record_call_result(transcript: &Transcript, result: &HttpCallResult) {
    let response = match result {
        HttpCallResult::Response(response) => response,
        HttpCallResult::NotSent(reason) | HttpCallResult::InvalidRequest(reason) => {
            return transcript.record_note(&format!("nothing was sent: {reason}"));
        }
        HttpCallResult::NoResponse(reason) => return transcript.record_note(reason),
    };
    transcript.record_received(&response.status.to_string());
    transcript.record_received(&header_lines(&response.headers));
    if !response.body.is_empty() {
        transcript.record_received(&format!(" \n{}", String::from_utf8_lossy(&response.body)));
    }
    match response.body_end {
        BodyEnd::Complete => {}
        BodyEnd::Truncated => transcript.record_note("the response is too long; the rest was not read"),
        BodyEnd::Interrupted => transcript.record_note("the connection broke during the response"),
    }
}

fn header_lines(headers: &HeaderMap) -> String {
    let header_line = |(name, header_value): (&HeaderName, &HeaderValue)| {
        let is_secret = SECRET_HEADERS.iter().any(|name_part| name.as_str().contains(name_part));
        let header_value = String::from_utf8_lossy(header_value.as_bytes());
        format!("{name}: {}\n", if is_secret { mask_credentials(&header_value).into() } else { header_value })
    };
    headers.iter().map(header_line).collect()
}
