//! A provider's HTTP call to the gateway: the request, the response to it and the reasons to reject it.
//!
//! Adapters authenticate and parse the request; the HTTP server turns the result into a response.

use std::collections::BTreeMap;

use postrider_core::clock::Timestamp;

/// How the callbacks of a provider reach the gateway over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackMode {
    /// No callbacks: the provider has none, it reports over its own connection, or the configuration has no secret to
    /// authenticate them.
    Disabled,
    /// At `/v1/receipts/NAME`, authenticated by a signature or a secret that the adapter checks.
    Authenticated,
    /// At `/v1/receipts/NAME` without authentication, because the configuration says `unsigned = true`.
    Unsigned,
    /// At `/messages/delivery_status`, with the token of the callback URL that each message carries.
    Texting,
}

impl CallbackMode {
    /// Returns `Authenticated` when a secret is configured, `Disabled` otherwise.
    pub(crate) fn authenticated_if(has_secret: bool) -> Self {
        if has_secret { Self::Authenticated } else { Self::Disabled }
    }
}

/// A provider's HTTP request to the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallbackRequest {
    /// `POST` or `GET`.
    pub method: String,
    /// The public URL that the provider called. Some providers sign it.
    pub url: String,
    /// The raw query string.
    pub query: String,
    /// Header names in lower case; values that are not text are left out.
    pub headers: BTreeMap<String, String>,
    /// The raw body.
    pub body: Vec<u8>,
    /// The time of arrival.
    pub received_at: Timestamp,
}

impl CallbackRequest {
    /// Returns the first field of that name in the query.
    pub(crate) fn query_field(&self, name: &str) -> Option<String> {
        first_field(self.query.as_bytes(), name)
    }

    /// Returns the first field of that name in the body, read as a form.
    pub(crate) fn form_field(&self, name: &str) -> Option<String> {
        first_field(&self.body, name)
    }
}

fn first_field(form: &[u8], name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(form);
    fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The response, with status 200, to an accepted callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackResponse {
    /// The type of the body; None omits the header.
    pub content_type: Option<&'static str>,
    /// The whole body.
    pub body: String,
}

impl CallbackResponse {
    /// Returns a response without a body.
    pub fn empty() -> Self {
        Self { content_type: None, body: String::new() }
    }
}

/// The reason to reject a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackError {
    /// The signature or secret is missing or wrong.
    Unauthenticated,
    /// The request cannot be parsed; the text says what is missing, for the provider's developer.
    Malformed(String),
    /// The provider has no callbacks.
    NotSupported,
    /// The request cannot be authenticated now, for the given reason. The provider should send it again.
    Unavailable(String),
}

impl CallbackError {
    /// Returns the error for a request that cannot be parsed.
    pub(crate) fn malformed(reason: &str) -> Self {
        Self::Malformed(reason.to_owned())
    }
}
