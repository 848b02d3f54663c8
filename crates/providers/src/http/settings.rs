//! The keys of `kind = "http"` as they are written; `request.rs`, `rules.rs` and `receipts.rs` say what they mean.
//!
//! Headers, URLs and bodies may hold secrets, so what is printed of them is the host and the names only.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer};

use super::receipts::CallbackReceiptParser;
use super::request::RequestTemplate;
use super::response_rules::ResponseRules;
use super::template::TemplateConstants;
use crate::outcome_kind::OutcomeKind;
use crate::settings_reader::{
    default_address_kind, deserialize_address_kind, deserialize_optional_duration, read_table,
};
use postrider_core::address::AddressKind;
use postrider_core::error::Result;

/// How a provider with an HTTP interface is spoken to.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Where it is; a template. A name and password before the host become an `Authorization` header.
    pub(super) url: String,
    /// `GET` without a body and `POST` with one, unless written here.
    pub(super) method: Option<String>,
    /// Header templates by name.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Query templates by name, put behind the URL.
    #[serde(default)]
    pub(super) query: BTreeMap<String, String>,
    /// The body as a form; a template for each field.
    pub(super) form: Option<BTreeMap<String, String>>,
    /// The body as JSON; every text in it is a template.
    pub(super) json: Option<toml::Table>,
    /// The body as one template; needs `content_type`.
    pub(super) body: Option<String>,
    /// What `body` is, which also says how places in it are escaped.
    pub(super) content_type: Option<String>,
    /// Which kind of address it wants; any, unless written here.
    #[serde(
        default = "default_address_kind",
        deserialize_with = "deserialize_address_kind"
    )]
    pub(super) address: AddressKind,
    /// Where an answer holds the provider's id: `json:PATH`, `header:NAME`, `regex:…(…)…` or `body`.
    pub(super) reference: Option<String>,
    /// Where an answer holds the provider's own code; else the code is `HTTP 503`.
    pub(super) code: Option<String>,
    /// Where an answer holds the provider's own words; else the whole answer is quoted.
    pub(super) reason: Option<String>,
    /// What answers mean, first match first; the usual meanings come after them.
    #[serde(default)]
    pub(super) rules: Vec<ResponseRuleSettings>,
    /// How its receipts come in; without, it sends none.
    pub(super) receipts: Option<ReceiptSource>,
}

/// How a provider's receipts come in.
#[derive(Clone)]
pub(super) enum ReceiptSource {
    /// To `/messages/delivery_status`, with the token of `{delivery_status_url}`: `receipts = "texting"`.
    Texting,
    /// To `/v1/receipts/NAME`, as the table `[providers.NAME.receipts]` says.
    Table(Box<ReceiptSettings>),
}

impl ReceiptSource {
    /// How receipts to `/v1/receipts/NAME` are read, if they come there.
    pub(super) fn parser_settings(&self) -> Option<&ReceiptSettings> {
        match self {
            Self::Texting => None,
            Self::Table(settings) => Some(settings),
        }
    }
}

impl<'de> Deserialize<'de> for ReceiptSource {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(ReceiptSourceVisitor)
    }
}

struct ReceiptSourceVisitor;

impl<'de> Visitor<'de> for ReceiptSourceVisitor {
    type Value = ReceiptSource;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("\"texting\", or a table that says how receipts are read")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> std::result::Result<ReceiptSource, E> {
        match word {
            "texting" => Ok(ReceiptSource::Texting),
            _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
        }
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> std::result::Result<ReceiptSource, M::Error> {
        ReceiptSettings::deserialize(MapAccessDeserializer::new(map))
            .map(|settings| ReceiptSource::Table(Box::new(settings)))
    }
}

/// One rule from an answer to an outcome.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResponseRuleSettings {
    /// `"2xx"`, `"429"`, `"400-499"`, or several with commas; any, when left out.
    pub status: Option<String>,
    /// A part of the body, or `json:PATH=VALUE`, or `json:PATH!=VALUE`.
    pub body: Option<String>,
    /// What it means.
    pub outcome: OutcomeKind,
    /// In the operator's words instead of the provider's.
    pub reason: Option<String>,
    /// When to come back, where the outcome has such a time and the answer says none.
    #[serde(default, deserialize_with = "deserialize_optional_duration")]
    pub retry_after: Option<Duration>,
}

/// How a provider's receipts are read.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptSettings {
    /// Where the provider's id stands: `json:PATH`, `form:NAME`, `query:NAME`, `header:NAME`, or `any:NAME` for
    /// whichever of JSON, form and query has it.
    pub reference: String,
    /// Where the status word stands, likewise.
    pub status: String,
    /// Where its reason stands, likewise.
    pub reason: Option<String>,
    /// Where its time stands, likewise: RFC 3339, or seconds or milliseconds since 1970.
    pub at: Option<String>,
    /// Where the list of receipts stands, when a call brings several; `json:` when it is the document itself.
    pub list: Option<String>,
    /// The status words that mean it has arrived. Words are compared without regard to case.
    #[serde(default)]
    pub delivered: Vec<String>,
    /// The words that mean it has not.
    #[serde(default)]
    pub bounced: Vec<String>,
    /// The words that mean that the address is dead.
    #[serde(default)]
    pub invalid: Vec<String>,
    /// The words that mean the person opened it.
    #[serde(default)]
    pub opened: Vec<String>,
    /// The words that change nothing, such as `queued`.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// What the caller must know: as query parameter `token`, as bearer token, or in `token_header`.
    pub token: Option<String>,
    /// The only header the token may come in.
    pub token_header: Option<String>,
    /// How the raw body is signed.
    pub hmac: Option<HmacSettings>,
    /// Takes receipts from every caller: without `token` and `hmac` this must be written out.
    #[serde(default)]
    pub unsigned: bool,
}

/// How a provider signs the raw body of its calls.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HmacSettings {
    /// The header with the signature.
    pub header: String,
    /// The key of the signature.
    pub secret: String,
    /// The digest under it.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// How it is written.
    #[serde(default)]
    pub encoding: HmacEncoding,
    /// What stands before it, such as `sha256=`.
    #[serde(default)]
    pub prefix: String,
}

/// The digest under a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum HmacAlgorithm {
    #[default]
    Sha256,
    Sha1,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum HmacEncoding {
    #[default]
    Hex,
    Base64,
}

impl HttpSettings {
    /// Reads and checks everything, so that a start with wrong settings never comes to a send.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        let name = "provider".to_owned();
        let constants = settings.template_constants(name, "https://localhost", "token");
        RequestTemplate::parse(&settings, &constants)?;
        ResponseRules::parse(&settings)?;
        settings.receipt_parser()?;
        Ok(settings)
    }

    /// What is the same in every message. Only who reports to `/messages/delivery_status` is given its URL.
    pub(super) fn template_constants(
        &self,
        provider: String,
        public_url: &str,
        callback_token: &str,
    ) -> TemplateConstants {
        let public_url = public_url.trim_end_matches('/').to_owned();
        let is_texting = matches!(self.receipts, Some(ReceiptSource::Texting));
        let delivery_status_url =
            is_texting.then(|| format!("{public_url}/messages/delivery_status?token={callback_token}"));
        TemplateConstants {
            provider,
            public_url,
            delivery_status_url,
        }
    }

    /// What reads the receipts at `/v1/receipts/NAME`, if any come there.
    pub(super) fn receipt_parser(&self) -> Result<Option<CallbackReceiptParser>> {
        let table = self.receipts.as_ref().and_then(ReceiptSource::parser_settings);
        table.map(CallbackReceiptParser::new).transpose()
    }

    /// Whether it is reached over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.url
            .trim_start()
            .get(..6)
            .is_some_and(|start| start.eq_ignore_ascii_case("https:"))
    }
}

/// Reads what an app's own server tells about messages that we named ourselves, and that it shows `token` for.
pub(crate) fn app_receipt_parser(token: &str) -> Result<CallbackReceiptParser> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    CallbackReceiptParser::new(&ReceiptSettings {
        reference: "json:gw_id".to_owned(),
        status: "json:status".to_owned(),
        reason: None,
        at: Some("json:at".to_owned()),
        list: None,
        delivered: words(&["delivered", "received"]),
        bounced: Vec::new(),
        invalid: Vec::new(),
        opened: words(&["opened", "read"]),
        ignored: Vec::new(),
        token: Some(token.to_owned()),
        token_header: None,
        hmac: None,
        unsigned: false,
    })
}

impl fmt::Debug for HttpSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = reqwest::Url::parse(&self.url).ok();
        out.debug_struct("Settings")
            .field("host", &place.as_ref().and_then(reqwest::Url::host_str))
            .field("method", &self.method)
            .field("headers", &self.headers.keys())
            .field("query", &self.query.keys())
            .field("rules", &self.rules.len())
            .field("receipts", &self.receipts.is_some())
            .finish_non_exhaustive()
    }
}
