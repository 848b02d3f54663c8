//! A request of a callback, and the facts that the forms need besides the event.

use postrider_core::clock::Timestamp;
use postrider_core::event::Event;
use postrider_core::id::MessageId;
use postrider_providers::webhook::WebhookClient;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request};
use sha2::{Digest, Sha256};

/// A request to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackCall {
    /// The method.
    pub method: Method,
    /// The URL, which is not checked yet.
    pub url: String,
    /// Headers with their names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub body: String,
}

/// Facts about a delivery that its events do not contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFacts {
    /// The provider's id of the message.
    pub reference: Option<String>,
    /// The time of acceptance.
    pub accepted_at: Option<Timestamp>,
    /// The sender of the message; none leaves it to the provider.
    pub sender: Option<String>,
}

/// The reason why no request is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCall {
    /// The client did not ask for this event.
    NotAskedFor,
    /// The event cannot be told; the text says why.
    Impossible(String),
}

impl NoCall {
    /// Returns the reason, for people.
    pub fn reason(self) -> String {
        match self {
            Self::NotAskedFor => "the client did not ask for this event".to_owned(),
            Self::Impossible(reason) => reason,
        }
    }
}

impl CallbackCall {
    /// Returns the request if its URL may be called.
    pub fn into_request(self, client: &WebhookClient) -> Result<Request, NoCall> {
        let url = client.parse_url(&self.url).map_err(NoCall::Impossible)?;
        let mut request = Request::new(self.method, url);
        for (name, text) in self.headers {
            let value = HeaderValue::from_str(&text)
                .map_err(|_| NoCall::Impossible(format!("{name} is not valid in an HTTP header")))?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.into());
        }
        Ok(request)
    }
}

/// Returns a UUID that is the same in every attempt to tell an event.
pub fn event_uuid(event: &Event) -> String {
    let digest: [u8; 32] = Sha256::digest(event.id().to_string()).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // Version 4 and the variant of RFC 9562.
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    MessageId::from_bytes(bytes).to_string()
}
