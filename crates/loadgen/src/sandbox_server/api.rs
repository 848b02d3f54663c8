//! Data types that all provider APIs share: submitted message, response, receipt, and form fields.

use serde::{Deserialize, Serialize};

use super::call_result::SandboxReceiptStatus;

/// Maximum length of a number or sender, in bytes.
const ADDRESS_BYTES_MAX: usize = 64;

/// Maximum length of a callback URL, in bytes.
const CALLBACK_URL_BYTES_MAX: usize = 2_048;

pub(super) const FORM_CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

pub(super) const JSON_CONTENT_TYPE: &str = "application/json";

/// A provider API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SandboxApi {
    /// The providers of system A.
    Simple,
    /// The providers of system C.
    Texting,
    Twilio,
}

/// A message that a client submits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SubmittedMessage {
    /// Recipient, as written by the client.
    pub number: String,
    /// Sender, if the API has one.
    pub from: String,
    /// Text, if the response repeats it.
    pub body: String,
    /// URL for the receipt.
    pub callback_url: Option<String>,
}

/// A response before it is encoded as HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SandboxResponse {
    pub status: u16,
    /// Body, as JSON.
    pub body: String,
    /// Value of `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
}

/// A receipt to be sent.
#[derive(Clone, Debug)]
pub(super) struct SandboxReceipt {
    /// API whose format the receipt has.
    pub api: SandboxApi,
    /// Id of the message in the response.
    pub id: String,
    pub status: SandboxReceiptStatus,
    /// URL that the receipt is sent to.
    pub url: String,
    /// The message, without its body.
    pub message: SubmittedMessage,
}

/// An encoded receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReceiptRequest {
    pub content_type: &'static str,
    /// Name and value of the signature header, if the API signs receipts.
    pub signature_header: Option<(&'static str, String)>,
    pub body: String,
}

impl SandboxApi {
    pub const ALL: [Self; 3] = [Self::Simple, Self::Texting, Self::Twilio];

    /// Returns the name in faults and counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Texting => "texting",
            Self::Twilio => "twilio",
        }
    }

    /// Returns the provider's name in the printed configuration.
    pub fn provider_name(self) -> String {
        format!("sandbox_{}", self.as_str())
    }
}

impl SubmittedMessage {
    /// Returns the message, or an error response when it is too long to be kept until its receipt is sent.
    pub fn validate_lengths(self) -> Result<Self, SandboxResponse> {
        let callback_url = self.callback_url.as_deref().unwrap_or_default();
        if self.number.len() <= ADDRESS_BYTES_MAX
            && self.from.len() <= ADDRESS_BYTES_MAX
            && callback_url.len() <= CALLBACK_URL_BYTES_MAX
        {
            return Ok(self);
        }
        let reason = "a number has at most 64 bytes, a callback URL at most 2048";
        Err(SandboxResponse::new(400, &serde_json::json!({"error": reason})))
    }
}

impl SandboxResponse {
    /// Creates a response without `Retry-After`.
    pub fn new(status: u16, body: &serde_json::Value) -> Self {
        Self { status, body: body.to_string(), retry_after: None }
    }

    /// Adds `Retry-After`.
    pub fn with_retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

/// Returns the first value of each named field of a form or query; empty when it is missing.
pub(super) fn fields<const N: usize>(form: &[u8], names: [&str; N]) -> [String; N] {
    names.map(|name| {
        let field = form_urlencoded::parse(form).find(|(key, _)| key == name);
        field.map(|(_, value)| value.into_owned()).unwrap_or_default()
    })
}

/// Returns the field, or none when it is empty.
pub(super) fn non_empty(field: String) -> Option<String> {
    (!field.is_empty()).then_some(field)
}

#[cfg(test)]
mod tests;
