//! The settings of `kind = "http"`.
//!
//! Headers, URLs and bodies may contain secrets, so the settings have no `Debug`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use postrider_core::address::AddressKind;

use crate::callback_receipts::ReceiptSettings;
use crate::outcome_kind::OutcomeKind;
use crate::settings_reader::{
    default_address_kind, deserialize_address_kind, deserialize_optional_duration, read_inner_table,
};

/// The requests, responses and receipts of a provider.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// The URL template. User name and password before the host become an `Authorization` header.
    pub(super) url: String,
    /// The HTTP method. The default is `GET` without a body and `POST` with one.
    pub(super) method: Option<String>,
    /// Header templates by name.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Query templates by name, appended to the URL.
    #[serde(default)]
    pub(super) query: BTreeMap<String, String>,
    /// The body as a form: a template for each field.
    pub(super) form: Option<BTreeMap<String, String>>,
    /// The body as JSON: every string in it is a template.
    pub(super) json: Option<toml::Table>,
    /// The body as one template. Requires `content_type`.
    pub(super) body: Option<String>,
    /// The content type of `body`, which decides how the values of variables in `body` are escaped.
    pub(super) content_type: Option<String>,
    /// The kind of address that the provider sends to. The default is any.
    #[serde(default = "default_address_kind", deserialize_with = "deserialize_address_kind")]
    pub(super) address: AddressKind,
    /// Location of the provider's message id in a response: `json:PATH`, `header:NAME`, `regex:…(…)…` or `body`.
    pub(super) reference: Option<String>,
    /// Location of the provider's code. The default code is `HTTP 503`.
    pub(super) code: Option<String>,
    /// Location of the reason. The default is the beginning of the body.
    pub(super) reason: Option<String>,
    /// Rules for responses, first match first. The outcomes of HTTP statuses apply after them.
    #[serde(default)]
    pub(super) rules: Vec<ResponseRuleSettings>,
    /// The receipts of the provider. The default is none.
    pub(super) receipts: Option<ReceiptSource>,
}

/// How the provider reports receipts.
#[derive(Clone)]
pub(super) enum ReceiptSource {
    /// At `/messages/delivery_status`, with the token of `{delivery_status_url}`: `receipts = "texting"`.
    Texting,
    /// At `/v1/receipts/NAME`, as the table `[providers.NAME.receipts]` describes.
    Table(Box<ReceiptSettings>),
}

impl<'de> Deserialize<'de> for ReceiptSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(word) if word == "texting" => Ok(Self::Texting),
            toml::Value::Table(table) => {
                let settings = read_inner_table(table).map_err(D::Error::custom)?;
                Ok(Self::Table(Box::new(settings)))
            }
            _ => Err(D::Error::custom("expected \"texting\", or a table that describes receipts")),
        }
    }
}

/// A rule that maps matching responses to an outcome.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResponseRuleSettings {
    /// `"2xx"`, `"429"`, `"400-499"`, or several with commas. The default is every status.
    pub status: Option<String>,
    /// A part of the body, `json:PATH=VALUE` or `json:PATH!=VALUE`.
    pub body: Option<String>,
    /// The outcome of a matching response.
    pub outcome: OutcomeKind,
    /// The reason, instead of the provider's text.
    pub reason: Option<String>,
    /// The delay of the outcome if the response requests none. Only for outcomes that have a delay.
    #[serde(default, deserialize_with = "deserialize_optional_duration")]
    pub retry_after: Option<Duration>,
}
