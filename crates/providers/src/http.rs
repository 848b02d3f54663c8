//! Speaks to any provider with an HTTP interface, by configuration alone.
//!
//! `template.rs`, `body.rs` and `request.rs` make the request, `rules.rs` reads the answer, `receipts.rs` reads what the
//! provider says later. Knows no provider by name, and repeats nothing.

mod body;
mod callback_secrets;
mod json_path;
mod receipts;
mod request;
mod response;
mod response_rules;
mod settings;
mod template;

#[cfg(test)]
mod tests;

use async_trait::async_trait;

use super::http_client::{HttpCallResult, HttpClient};
use super::{
    AccountCheck, AdapterContext, CallbackError, CallbackMode, CallbackRequest, OutboundMessage, Provider,
};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;
use postrider_core::recipient::AddressKind;

pub(super) use receipts::CallbackReceiptParser;
use request::RequestTemplate;
pub(super) use response::retry_after;
use response_rules::ResponseRules;
pub use settings::HttpSettings;
use settings::ReceiptSource;
pub(super) use settings::app_receipt_parser;

/// A provider that is reached over HTTP.
pub struct HttpProvider {
    request_template: RequestTemplate,
    response_rules: ResponseRules,
    receipt_parser: Option<CallbackReceiptParser>,
    callback_mode: CallbackMode,
    address_kind: AddressKind,
    client: HttpClient,
}

impl HttpProvider {
    /// A provider as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &HttpSettings) -> Result<Self> {
        let constants = settings.template_constants(
            context.name.to_string(),
            &context.public_url,
            &context.callback_token,
        );
        let receipts = settings.receipt_parser()?;
        let callbacks = match (&settings.receipts, &receipts) {
            (Some(ReceiptSource::Texting), _) => CallbackMode::Texting,
            (_, Some(reader)) if reader.has_secrets() => CallbackMode::Authenticated,
            (_, Some(_)) => CallbackMode::Unsigned,
            (_, None) => CallbackMode::Disabled,
        };
        Ok(Self {
            request_template: RequestTemplate::parse(settings, &constants)?,
            response_rules: ResponseRules::parse(settings)?,
            receipt_parser: receipts,
            callback_mode: callbacks,
            address_kind: settings.address,
            client: context
                .http_clients
                .client(&context.limits, settings.is_secure())?,
        })
    }
}

#[async_trait]
impl Provider for HttpProvider {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        let request = match self.request_template.render(parcel) {
            Ok(request) => request,
            Err(reason) => return Outcome::Rejected { reason }.into(),
        };
        match self.client.call(request).await {
            HttpCallResult::Response(answered) => self.response_rules.send_result(&answered),
            HttpCallResult::NotSent(reason) => Outcome::Unavailable { reason }.into(),
            HttpCallResult::NoResponse(reason) => Outcome::Unknown { reason }.into(),
            HttpCallResult::InvalidRequest(reason) => Outcome::Rejected { reason }.into(),
        }
    }

    fn parse_callback_sync(&self, call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        let receipts = self
            .receipt_parser
            .as_ref()
            .ok_or(CallbackError::NotSupported)?
            .parse(call)?;
        Ok(receipts.into_iter().map(CallbackItem::Receipt).collect())
    }

    fn callback_mode(&self) -> CallbackMode {
        self.callback_mode
    }

    fn address_kind(&self) -> AddressKind {
        self.address_kind
    }

    async fn check_account(&self) -> AccountCheck {
        self.client
            .check_reachable(self.request_template.root_url().clone())
            .await
    }

    fn endpoint(&self) -> (String, u16) {
        self.request_template.endpoint()
    }
}
