//! The settings of `kind = "http"`.
//!
//! Headers, URLs and bodies may contain secrets, so `Debug` shows the host and names only.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer};

use postrider_core::address::AddressKind;
use postrider_core::error::Result;

use crate::callback_receipts::ReceiptSettings;
use crate::outcome_kind::OutcomeKind;
use crate::settings_reader::{
    default_address_kind, deserialize_address_kind, deserialize_optional_duration, read_table,
};

/// The requests, responses and receipts of a provider.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// The URL template. A name and a password before the host become an `Authorization` header.
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
    /// The type of `body`, which also decides how values in it are escaped.
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
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(ReceiptSourceVisitor)
    }
}

struct ReceiptSourceVisitor;

impl<'de> Visitor<'de> for ReceiptSourceVisitor {
    type Value = ReceiptSource;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"texting\", or a table that describes receipts")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<ReceiptSource, E> {
        match text {
            "texting" => Ok(ReceiptSource::Texting),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> std::result::Result<ReceiptSource, M::Error> {
        ReceiptSettings::deserialize(MapAccessDeserializer::new(map))
            .map(|settings| ReceiptSource::Table(Box::new(settings)))
    }
}

/// One rule from a response to an outcome.
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
    /// The delay, for an outcome that has one, when the response requests none.
    #[serde(default, deserialize_with = "deserialize_optional_duration")]
    pub retry_after: Option<Duration>,
}

impl HttpSettings {
    /// Parses the keys. Templates and rules are not checked here.
    pub(super) fn read(table: toml::Table) -> Result<Self> {
        read_table(table)
    }

    /// Returns whether the provider is called over TLS.
    pub(super) fn is_secure(&self) -> bool {
        let scheme = self.url.trim_start().get(..6);
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
    }
}

impl fmt::Debug for HttpSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = reqwest::Url::parse(&self.url).ok();
        formatter
            .debug_struct("HttpSettings")
            .field("host", &url.as_ref().and_then(reqwest::Url::host_str))
            .field("method", &self.method)
            .field("headers", &self.headers.keys())
            .field("query", &self.query.keys())
            .field("rules", &self.rules.len())
            .field("receipts", &self.receipts.is_some())
            .finish_non_exhaustive()
    }
}
