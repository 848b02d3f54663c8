//! The settings of receipts that a provider posts in a format of its own.
//!
//! Locations and secrets are checked when the parser is constructed.

use serde::Deserialize;

/// The table `[providers.NAME.receipts]`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiptSettings {
    /// Location of the provider's message id: `json:PATH`, `form:NAME`, `query:NAME`, `header:NAME`, or `any:NAME` for
    /// the first of JSON, form and query that has it.
    pub reference: String,
    /// Location of the status.
    pub status: String,
    /// Location of the reason.
    pub reason: Option<String>,
    /// Location of the time: RFC 3339, or seconds or milliseconds since 1970.
    pub at: Option<String>,
    /// Location of the list if a callback has several receipts; `json:` if the document itself is the list.
    pub list: Option<String>,
    /// Statuses of a delivered message. Statuses are compared without regard to case.
    #[serde(default)]
    pub delivered: Vec<String>,
    /// Statuses of a message that could not be delivered.
    #[serde(default)]
    pub bounced: Vec<String>,
    /// Statuses of an address that is permanently invalid.
    #[serde(default)]
    pub invalid: Vec<String>,
    /// Statuses of an opened message.
    #[serde(default)]
    pub opened: Vec<String>,
    /// Statuses that change nothing, such as `queued`.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// The token that the caller must send: in the query parameter `token`, as a bearer token, or in the header
    /// `token_header`.
    pub token: Option<String>,
    /// The only header in which the token is accepted.
    pub token_header: Option<String>,
    /// The signature of the raw body.
    pub hmac: Option<HmacSettings>,
    /// Accepts receipts from every caller. Required without `token` and `hmac`.
    #[serde(default)]
    pub unsigned: bool,
}

/// The signature of the raw body.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HmacSettings {
    /// The header with the signature.
    pub header: String,
    /// The key.
    pub secret: String,
    /// The hash function.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// The encoding of the digest in the header.
    #[serde(default)]
    pub encoding: HmacEncoding,
    /// Text in front of the digest, such as `sha256=`.
    #[serde(default)]
    pub prefix: String,
}

/// The hash function of a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HmacAlgorithm {
    #[default]
    Sha256,
    Sha1,
}

/// The encoding of a digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HmacEncoding {
    #[default]
    Hex,
    Base64,
}
