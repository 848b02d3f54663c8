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

use super::Parcel;
use super::fate::Fate;
use super::http::retry_after;
use super::outbound::{Answered, End, Reply};
use super::reading::words;
use crate::domain::attempt::{Answer, Outcome};

/// Where an interface begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base(Url);

impl Base {
    /// Reads a URL without query; the error says how to write it.
    pub fn read(text: &str) -> Result<Self, String> {
        let url = Url::parse(text.trim()).ok();
        url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .filter(|url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty())
            .map(Self)
            .ok_or_else(|| "is no URL to begin with; write https://HOST or https://HOST/PATH".to_owned())
    }

    /// The URL of one of its resources, each segment escaped.
    pub fn at(&self, segments: &[&str]) -> Url {
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
    pub fn place(&self) -> (String, u16) {
        let host = self.0.host_str().unwrap_or_default().to_owned();
        (host, self.0.port_or_known_default().unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Base {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A POST of a JSON document.
pub(super) fn post(url: Url, document: &Value) -> Request {
    let mut request = Request::new(Method::POST, url);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.body_mut() = Some(document.to_string().into());
    request
}

/// Puts a bearer token into the request; a token that no header can carry is left out and will be missed.
pub(super) fn bear(headers: &mut HeaderMap, token: &str) {
    if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}

/// The answer, or what its absence means for the message.
pub(super) fn answered(reply: Reply) -> Result<Heard, Answer> {
    match reply {
        Reply::Answered(answered) => Ok(Heard::read(answered)),
        Reply::NeverLeft(reason) => Err(Outcome::Unavailable { reason }.into()),
        Reply::Silence(reason) => Err(Outcome::Unknown { reason }.into()),
        Reply::Unsendable(reason) => Err(Outcome::Rejected { reason }.into()),
    }
}

/// An answer, its body read as JSON where it is JSON.
pub(super) struct Heard {
    pub status: u16,
    pub headers: HeaderMap,
    /// Whether the body is whole and nothing.
    pub is_empty: bool,
    /// Null where the body is no JSON, or not whole.
    pub json: Value,
}

impl Heard {
    fn read(answered: Answered) -> Self {
        Self {
            status: answered.status,
            is_empty: answered.body.is_empty() && answered.end == End::Whole,
            json: serde_json::from_slice(&answered.body).unwrap_or_default(),
            headers: answered.headers,
        }
    }

    /// How long the provider wants to be left alone, if it says so.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }

    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.json
            .pointer(pointer)?
            .as_str()
            .filter(|text| !text.is_empty())
    }

    /// What the answer's status says by itself, as the provider's code.
    pub fn status_code(&self) -> String {
        format!("HTTP {}", self.status)
    }
}

/// A provider's code, what it means and what follows.
pub(super) struct Meaning {
    pub code: &'static str,
    pub fate: Fate,
    /// In our words, for the operator.
    pub words: &'static str,
}

/// One line of an adapter's table.
pub(super) const fn means(code: &'static str, fate: Fate, words: &'static str) -> Meaning {
    Meaning { code, fate, words }
}

impl Meaning {
    /// The line of that code.
    pub fn find(table: &'static [Self], code: &str) -> Option<&'static Self> {
        table.iter().find(|meaning| meaning.code == code)
    }

    /// What an answer's status means when no code says more.
    pub fn of_status(status: u16) -> Self {
        let (fate, words) = match status {
            200..300 => (
                Fate::Unknown,
                "took the request without saying what became of the message",
            ),
            429 => (Fate::Throttled, "too many requests"),
            401 | 403 | 407 => (Fate::Misconfigured, "refuses our account"),
            300..=399 | 404 | 405 | 410 => (Fate::Misconfigured, "has nothing at this address; see base_url"),
            408 | 500.. => (Fate::Unavailable, "is in trouble itself"),
            _ => (Fate::Rejected, "refuses this message"),
        };
        means("", fate, words)
    }

    /// The answer, in our words and in the provider's own.
    pub fn answer(&self, code: String, theirs: Option<&str>, wait: Option<Duration>) -> Answer {
        let reason = match theirs.map(words).filter(|theirs| !theirs.is_empty()) {
            Some(theirs) => words(&format!("{}: {theirs}", self.words)),
            None => self.words.to_owned(),
        };
        Answer {
            outcome: self.fate.outcome(None, reason, wait),
            code: Some(code),
        }
    }
}

/// Our own name for a delivery, the same in every round, that nobody can guess: what an app is told, so that it can
/// tell a repetition and acknowledge what it got.
pub(super) fn own_id(parcel: &Parcel) -> Uuid {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new()
        .chain_update(parcel.message.bytes())
        .chain_update(parcel.delivery.0.to_be_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::contract;

    #[test]
    fn a_base_is_an_http_url_and_nothing_behind_it() {
        let base = Base::read("https://push.example/api/").unwrap();
        assert_eq!(
            base.at(&["v1", "a/b", "c:send"]).as_str(),
            "https://push.example/api/v1/a%2Fb/c:send"
        );
        assert_eq!(base.place(), ("push.example".to_owned(), 443));
        assert!(base.is_secure() && !Base::read("http://127.0.0.1:9").unwrap().is_secure());
        for text in ["", "push.example", "ftp://a", "https://a/?b=c", "https://user@a/"] {
            assert!(Base::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn our_name_for_a_delivery_stays_the_same_in_every_round() {
        let first = contract::parcel();
        let again = Parcel {
            round: 9,
            ..first.clone()
        };
        let other = Parcel {
            delivery: crate::domain::id::DeliveryId::of(7, 2),
            ..first.clone()
        };
        assert_eq!(own_id(&first), own_id(&again));
        assert_ne!(own_id(&first), own_id(&other));
    }
}
