//! Any provider with an HTTP API, described by its configuration.
//!
//! The settings describe three things: the request by templates, the meaning of responses by rules, and the receipts
//! that the provider posts. The module contains nothing about single providers. Every call is made once.

mod body;
mod doubt;
mod request;
mod response;
mod response_rules;
mod settings;
mod template;

#[cfg(test)]
mod tests;

use async_trait::async_trait;

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

use crate::adapter_context::AdapterContext;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest};
use crate::callback_receipts::CallbackReceiptParser;
use crate::http_client::HttpClient;
use crate::provider::{AccountCheck, OutboundMessage, Provider};
use crate::settings_reader::read_table;
use request::RequestTemplate;
use response_rules::ResponseRules;
pub use settings::HttpSettings;
use settings::ReceiptSource;
use template::TemplateConstants;

/// A provider with an HTTP API.
pub struct HttpProvider {
    request_template: RequestTemplate,
    response_rules: ResponseRules,
    receipt_parser: Option<CallbackReceiptParser>,
    callback_mode: CallbackMode,
    address_kind: AddressKind,
    client: HttpClient,
}

/// Parses the settings with all their templates and rules, so that an invalid setting stops the start.
pub(crate) fn read_settings(table: toml::Table) -> Result<HttpSettings> {
    let http_settings: HttpSettings = read_table(table)?;
    let constants = TemplateConstants::new("provider", "https://localhost", "token", &http_settings);
    RequestTemplate::parse(&http_settings, &constants)?;
    ResponseRules::parse(&http_settings)?;
    receipt_parser(&http_settings)?;
    Ok(http_settings)
}

fn receipt_parser(settings: &HttpSettings) -> Result<Option<CallbackReceiptParser>> {
    match &settings.receipts {
        Some(ReceiptSource::Table(table)) => CallbackReceiptParser::new(table).map(Some),
        Some(ReceiptSource::Texting) | None => Ok(None),
    }
}

impl HttpProvider {
    /// Returns the provider that the settings describe.
    pub(super) fn new(context: &AdapterContext, http_settings: &HttpSettings) -> Result<Self> {
        let AdapterContext { name, public_url, callback_token, .. } = context;
        let constants = TemplateConstants::new(name.as_str(), public_url, callback_token, http_settings);
        let receipt_parser = receipt_parser(http_settings)?;
        let callback_mode = match (&http_settings.receipts, &receipt_parser) {
            (Some(ReceiptSource::Texting), _) => CallbackMode::Texting,
            (_, Some(parser)) if parser.has_secrets() => CallbackMode::Authenticated,
            (_, Some(_)) => CallbackMode::Unsigned,
            (_, None) => CallbackMode::Disabled,
        };
        let request_template = RequestTemplate::parse(http_settings, &constants)?;
        let is_tls = request_template.root_url().scheme() == "https";
        Ok(Self {
            request_template,
            response_rules: ResponseRules::parse(http_settings)?,
            receipt_parser,
            callback_mode,
            address_kind: http_settings.address,
            client: context.http_clients.client(&context.limits, is_tls)?,
        })
    }
}

#[async_trait]
impl Provider for HttpProvider {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let request = match self.request_template.render(message) {
            Ok(request) => request,
            Err(reason) => return Outcome::Rejected { reason }.into(),
        };
        match self.client.call(request).await.into_response() {
            Ok(response) => self.response_rules.send_result(&response),
            Err(result) => result,
        }
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        CallbackReceiptParser::parse_callback(self.receipt_parser.as_ref(), request)
    }

    /// A callback may contain many receipts.
    fn callback_bytes_max(&self) -> usize {
        usize::MAX
    }

    fn callback_mode(&self) -> CallbackMode {
        self.callback_mode
    }

    fn address_kind(&self) -> AddressKind {
        self.address_kind
    }

    fn warnings(&self) -> Vec<String> {
        Vec::from_iter(self.response_rules.warning())
    }

    async fn check_account(&self) -> AccountCheck {
        self.client.check_reachable(self.request_template.root_url().clone()).await
    }

    fn endpoint(&self) -> (String, u16) {
        self.request_template.endpoint()
    }
}
