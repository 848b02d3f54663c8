//! What adapters of HTTP interfaces share: where the interface is, JSON calls to it, and reading its answers.
//!
//! Knows no provider's codes: those are a table in each adapter. Never shows a URL, which may hold a secret.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Request, Url};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;
use uuid::Uuid;

use super::OutboundMessage;
use super::http::retry_after;
use super::http_client::{BodyEnd, HttpCallResult, HttpResponse};
use super::outcome_kind::OutcomeKind;
use super::settings_reader::sanitize_text;
use postrider_core::attempt::{Outcome, SendResult};

/// Where an interface begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl(Url);

impl BaseUrl {
    /// Reads a URL without query; the error says how to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text.trim()).ok();
        url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .filter(|url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty())
            .map(Self)
            .ok_or_else(|| "is no URL to begin with; write https://HOST or https://HOST/PATH".to_owned())
    }

    /// The URL of one of its resources, each segment escaped.
    pub fn resource_url(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Whether it is reached over TLS.
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Host and port.
    pub fn endpoint(&self) -> (String, u16) {
        let host = self.0.host_str().unwrap_or_default().to_owned();
        (host, self.0.port_or_known_default().unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A POST of a JSON document.
pub(super) fn json_post_request(url: Url, document: &Value) -> Request {
    let mut request = Request::new(Method::POST, url);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.body_mut() = Some(document.to_string().into());
    request
}

/// Puts a bearer token into the request; a token that no header can carry is left out and will be missed.
pub(super) fn set_bearer_token(headers: &mut HeaderMap, token: &str) {
    if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}

/// The answer, or what its absence means for the message.
pub(super) fn into_json_response(reply: HttpCallResult) -> Result<JsonResponse, SendResult> {
    match reply {
        HttpCallResult::Response(answered) => Ok(JsonResponse::from_response(answered)),
        HttpCallResult::NotSent(reason) => Err(Outcome::Unavailable { reason }.into()),
        HttpCallResult::NoResponse(reason) => Err(Outcome::Unknown { reason }.into()),
        HttpCallResult::InvalidRequest(reason) => Err(Outcome::Rejected { reason }.into()),
    }
}

/// An answer, its body read as JSON where it is JSON.
pub(super) struct JsonResponse {
    pub status: u16,
    pub headers: HeaderMap,
    /// Whether the body is whole and nothing.
    pub is_empty: bool,
    /// Null where the body is no JSON, or not whole.
    pub json: Value,
}

impl JsonResponse {
    fn from_response(answered: HttpResponse) -> Self {
        Self {
            status: answered.status,
            is_empty: answered.body.is_empty() && answered.body_end == BodyEnd::Complete,
            json: serde_json::from_slice(&answered.body).unwrap_or_default(),
            headers: answered.headers,
        }
    }

    /// How long the provider wants to be left alone, if it says so.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }

    /// The text at a JSON pointer.
    pub fn str_at(&self, pointer: &str) -> Option<&str> {
        self.json
            .pointer(pointer)?
            .as_str()
            .filter(|text| !text.is_empty())
    }

    /// What the answer's status says by itself, as the provider's code.
    pub fn http_status_text(&self) -> String {
        format!("HTTP {}", self.status)
    }
}

/// A provider's code, what it means and what follows.
pub(super) struct OutcomeCode {
    pub code: &'static str,
    pub outcome: OutcomeKind,
    /// In our words, for the operator.
    pub description: &'static str,
}

/// One line of an adapter's table.
pub(super) const fn outcome_code(code: &'static str, fate: OutcomeKind, words: &'static str) -> OutcomeCode {
    OutcomeCode {
        code,
        outcome: fate,
        description: words,
    }
}

impl OutcomeCode {
    /// The line of that code.
    pub fn find(table: &'static [Self], code: &str) -> Option<&'static Self> {
        table.iter().find(|meaning| meaning.code == code)
    }

    /// What an answer's status means when no code says more.
    pub fn from_http_status(status: u16) -> Self {
        let (fate, words) = match status {
            200..300 => (
                OutcomeKind::Unknown,
                "took the request without saying what became of the message",
            ),
            429 => (OutcomeKind::Throttled, "too many requests"),
            401 | 403 | 407 => (OutcomeKind::Misconfigured, "refuses our account"),
            300..=399 | 404 | 405 | 410 => (
                OutcomeKind::Misconfigured,
                "has nothing at this address; see base_url",
            ),
            408 | 500.. => (OutcomeKind::Unavailable, "is in trouble itself"),
            _ => (OutcomeKind::Rejected, "refuses this message"),
        };
        outcome_code("", fate, words)
    }

    /// The answer, in our words and in the provider's own.
    pub fn send_result(&self, code: String, theirs: Option<&str>, wait: Option<Duration>) -> SendResult {
        let reason = match theirs.map(sanitize_text).filter(|theirs| !theirs.is_empty()) {
            Some(theirs) => sanitize_text(&format!("{}: {theirs}", self.description)),
            None => self.description.to_owned(),
        };
        SendResult {
            outcome: self.outcome.into_outcome(None, reason, wait),
            code: Some(code),
        }
    }
}

/// Our own name for a delivery, the same in every round, that nobody can guess: what an app is told, so that it can
/// tell a repetition and acknowledge what it got.
pub(super) fn gateway_id(parcel: &OutboundMessage) -> Uuid {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new()
        .chain_update(parcel.message_id.bytes())
        .chain_update(parcel.delivery_id.0.to_be_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[test]
    fn a_base_is_an_http_url_and_nothing_behind_it() {
        let base = BaseUrl::parse("https://push.example/api/").unwrap();
        assert_eq!(
            base.resource_url(&["v1", "a/b", "c:send"]).as_str(),
            "https://push.example/api/v1/a%2Fb/c:send"
        );
        assert_eq!(base.endpoint(), ("push.example".to_owned(), 443));
        assert!(base.is_secure() && !BaseUrl::parse("http://127.0.0.1:9").unwrap().is_secure());
        for text in ["", "push.example", "ftp://a", "https://a/?b=c", "https://user@a/"] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn our_name_for_a_delivery_stays_the_same_in_every_round() {
        let first = conformance::sample_message();
        let again = OutboundMessage {
            round: 9,
            ..first.clone()
        };
        let other = OutboundMessage {
            delivery_id: postrider_core::id::DeliveryId::from_position(7, 2),
            ..first.clone()
        };
        assert_eq!(gateway_id(&first), gateway_id(&again));
        assert_ne!(gateway_id(&first), gateway_id(&other));
    }
}
