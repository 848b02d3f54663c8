//! The wires: what every one of them reads, answers and reports with, whoever of them it is.
//!
//! Each has a file of its own, and nothing of a wire's format stands anywhere else.

use serde::{Deserialize, Serialize};

use super::call_result::{CallResult, SandboxReceiptStatus};
use super::{simple, texting, twilio};

/// Which wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SandboxApi {
    /// The providers of system A.
    Simple,
    /// The providers of system C.
    Texting,
    /// One like Twilio.
    Twilio,
}

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SubmittedMessage {
    /// To whom, as it was written.
    pub number: String,
    /// From whom, where the wire has a sender.
    pub from: String,
    /// What it says, where the answer repeats it.
    pub body: String,
    /// Where the receipt is to go; where the gateway is thought to be, or nowhere, when left out.
    pub callback_url: Option<String>,
}

/// An answer before it is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SandboxResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body, as JSON.
    pub body: String,
    /// When to come back, in seconds.
    pub retry_after: Option<u32>,
}

/// A receipt that is to be handed over.
#[derive(Clone, Debug)]
pub(super) struct SandboxReceipt {
    /// In which wire's format.
    pub api: SandboxApi,
    /// The id that the message was taken under.
    pub id: String,
    /// What became of it.
    pub status: SandboxReceiptStatus,
    /// Where to.
    pub url: String,
    /// Whose message it was.
    pub message: SubmittedMessage,
}

/// A receipt as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReceiptRequest {
    /// The body's type.
    pub content_type: &'static str,
    /// A header that proves who writes: its name and its value.
    pub signature_header: Option<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// The longest number or sender.
const ADDRESS_BYTES_MAX: usize = 64;

/// The longest callback's URL.
const CALLBACK_URL_BYTES_MAX: usize = 2_048;

/// How a form is announced.
pub(super) const FORM_CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// How JSON is announced.
pub(super) const JSON_CONTENT_TYPE: &str = "application/json";

impl SandboxApi {
    /// Every wire.
    pub const ALL: [Self; 3] = [Self::Simple, Self::Texting, Self::Twilio];

    /// Its name in faults and counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Texting => "texting",
            Self::Twilio => "twilio",
        }
    }

    /// Its place among [`Wire::ALL`].
    pub fn index(self) -> usize {
        match self {
            Self::Simple => 0,
            Self::Texting => 1,
            Self::Twilio => 2,
        }
    }

    /// Its provider's name in the configuration that the sandbox prints.
    pub fn provider_name(self) -> String {
        format!("sandbox_{}", self.as_str())
    }

    /// An id for a message, from luck that no other message has.
    pub fn message_id(self, luck: [u8; 16]) -> String {
        match self {
            Self::Simple | Self::Texting => uuid::Builder::from_random_bytes(luck).into_uuid().to_string(),
            Self::Twilio => twilio::message_sid(luck),
        }
    }

    /// The answer to a call that came to this; of what is not answered in the wire's own format there is none.
    pub fn response(self, turn: CallResult, id: &str, order: &SubmittedMessage) -> Option<SandboxResponse> {
        match self {
            Self::Simple => simple::response(turn, id),
            Self::Texting => texting::response(turn, id),
            Self::Twilio => twilio::response(turn, id, order),
        }
    }
}

impl SubmittedMessage {
    /// Itself, unless it is too long to be kept until its receipt has left.
    pub fn validate_lengths(self) -> Result<Self, SandboxResponse> {
        let callback = self.callback_url.as_deref().unwrap_or_default();
        let fits = self.number.len() <= ADDRESS_BYTES_MAX
            && self.from.len() <= ADDRESS_BYTES_MAX
            && callback.len() <= CALLBACK_URL_BYTES_MAX;
        if fits {
            return Ok(self);
        }
        let why = "a number has at most 64 bytes, and a callback's URL 2048";
        Err(SandboxResponse::new(400, &serde_json::json!({"error": why})))
    }
}

impl SandboxResponse {
    /// A plain answer.
    pub fn new(status: u16, body: &serde_json::Value) -> Self {
        Self {
            status,
            body: body.to_string(),
            retry_after: None,
        }
    }

    /// The same with a time to come back.
    pub fn with_retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }
}

impl SandboxReceipt {
    /// As its wire writes it.
    pub fn encode(&self) -> ReceiptRequest {
        match self.api {
            SandboxApi::Simple => simple::encode_receipt(self),
            SandboxApi::Texting => texting::encode_receipt(self),
            SandboxApi::Twilio => twilio::encode_receipt(self),
        }
    }
}

/// The fields of a form or a query: the first of each name that was asked for, empty when there is none.
pub(super) fn fields<const N: usize>(form: &[u8], names: [&str; N]) -> [String; N] {
    names.map(|name| {
        let found = form_urlencoded::parse(form).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    })
}

/// A field that may be left out.
pub(super) fn non_empty(field: String) -> Option<String> {
    (!field.is_empty()).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_until_its_receipt_has_left_is_bounded() {
        let order = |number: usize, callback: usize| SubmittedMessage {
            number: "1".repeat(number),
            callback_url: Some("u".repeat(callback)),
            ..SubmittedMessage::default()
        };
        assert!(order(64, 2_048).validate_lengths().is_ok());
        assert_eq!(order(65, 1).validate_lengths().unwrap_err().status, 400);
        assert_eq!(order(1, 2_049).validate_lengths().unwrap_err().status, 400);
    }
}
