//! Requests to JSON APIs and their responses.
//!
//! Contains no provider codes, because each adapter has its own table. Never shows a URL, which may contain a secret.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::Value;
use uuid::Uuid;

use postrider_core::attempt::{Outcome, SendResult};

use crate::http_response::{BodyEnd, HttpCallResult, HttpResponse};
use crate::http_status::status_code;
use crate::outcome_code::OutcomeCode;
use crate::provider::OutboundMessage;
use crate::provider_text::sanitize_text;

/// The content type of JSON.
pub(crate) const JSON_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json");

/// The content type of a form.
pub(crate) const FORM_CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("application/x-www-form-urlencoded");

/// Returns a POST request with a JSON body.
pub(crate) fn json_post_request(url: Url, document: &Value) -> Request {
    post_request(url, JSON_CONTENT_TYPE, document.to_string())
}

/// Returns a POST request with a form.
pub(crate) fn form_post_request(url: Url, form: String) -> Request {
    post_request(url, FORM_CONTENT_TYPE, form)
}

fn post_request(url: Url, content_type: HeaderValue, body: String) -> Request {
    let mut request = Request::new(Method::POST, url);
    request.headers_mut().insert(CONTENT_TYPE, content_type);
    *request.body_mut() = Some(body.into());
    request
}

/// Adds a bearer token. A token that cannot be part of a header is left out; the provider then refuses the request.
pub(crate) fn set_bearer_token(headers: &mut HeaderMap, token: &str) {
    if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}

/// Returns the response, or the send result when there is none.
pub(crate) fn into_json_response(call_result: HttpCallResult) -> Result<JsonResponse, SendResult> {
    call_result.into_response().map(JsonResponse::from_response)
}

/// A response whose body is JSON.
pub(crate) struct JsonResponse {
    pub status: u16,
    pub headers: HeaderMap,
    /// The raw body, as far as it was read.
    pub body: Vec<u8>,
    pub body_end: BodyEnd,
    /// Null when the body is not JSON.
    pub json: Value,
    retry_after: Option<Duration>,
}

impl JsonResponse {
    fn from_response(response: HttpResponse) -> Self {
        Self {
            status: response.status,
            retry_after: response.retry_after(),
            json: serde_json::from_slice(&response.body).unwrap_or_default(),
            headers: response.headers,
            body: response.body,
            body_end: response.body_end,
        }
    }

    /// Returns whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns whether the whole body was read.
    pub fn is_complete(&self) -> bool {
        self.body_end == BodyEnd::Complete
    }

    /// Returns whether the response has no body.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty() && self.is_complete()
    }

    /// Returns the delay that the header `Retry-After` requests.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the text at a JSON pointer, unless it is empty.
    pub fn str_at(&self, pointer: &str) -> Option<&str> {
        self.json.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
    }

    /// Returns the status as an attempt's code, for a response without a code of the provider.
    pub fn http_status_text(&self) -> String {
        status_code(self.status)
    }

    /// Returns the meaning of the status, for a response without a known code of the provider.
    pub fn status_outcome(&self) -> OutcomeCode {
        OutcomeCode::of_status(self.status, self.retry_after)
    }

    /// Returns the result that the status implies, for a response that is not in the provider's format.
    pub fn status_result(&self) -> SendResult {
        let outcome = if self.is_success() {
            self.unconfirmed_outcome()
        } else {
            self.status_outcome().outcome.into_outcome(None, self.body_reason(), self.retry_after)
        };
        SendResult { outcome, code: Some(self.http_status_text()) }
    }

    /// Returns the beginning of the body as a reason, for a response that is not in the provider's format.
    pub fn body_reason(&self) -> String {
        let (status, text) = (self.status, sanitize_text(&String::from_utf8_lossy(&self.body)));
        if text.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {text}") }
    }

    /// Returns the outcome of a successful response that does not confirm the message: it may have been sent.
    pub fn unconfirmed_outcome(&self) -> Outcome {
        let http_status = self.status;
        let reason = match self.body_end {
            BodyEnd::Complete => format!("HTTP {http_status}, but the response does not confirm the message"),
            BodyEnd::Truncated => format!("HTTP {http_status}, but the response is too long to read"),
            BodyEnd::Interrupted => {
                format!("HTTP {http_status}, but the connection broke during the response")
            }
        };
        Outcome::Unknown { reason }
    }
}

/// Returns the text as the content of a JSON string, without the quotes. A JSON parser returns exactly `text` from it.
pub(crate) fn escape_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Returns the gateway's own id of a delivery. It is the same in every round and cannot be guessed. An app receives it
/// to recognise a repeated message and to acknowledge the message.
pub(crate) fn gateway_id(message: &OutboundMessage) -> Uuid {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new()
        .chain_update(message.message_id.bytes())
        .chain_update(message.delivery_id.0.to_be_bytes())
        .finalize();
    let mut uuid_bytes = [0; 16];
    uuid_bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(uuid_bytes).into_uuid()
}

#[cfg(test)]
mod tests;
