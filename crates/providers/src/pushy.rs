//! Sends push notifications through Pushy, which reaches devices without Google services.
//!
//! Pushy sends no callbacks, so the status of each message is polled.

mod api;
mod polling;
mod response;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;

use super::account_evidence::AccountEvidence;
use super::app_receipts::app_receipt_parser;
use super::callback_receipts::CallbackReceiptParser;
use super::http_client::ConnectionRequirements;
use super::json_api::gateway_id;
use super::{
    AccountCheck, AdapterContext, CallbackError, CallbackMode, CallbackRequest, OutboundMessage, Provider,
};
use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

use api::PushyApi;
use polling::{AcceptedPush, ReceiptPoller};
pub use settings::PushySettings;

/// A Pushy account.
pub struct Pushy {
    api: Arc<PushyApi>,
    app_receipts: Option<CallbackReceiptParser>,
    account_evidence: AccountEvidence,
    receipt_poller: Option<ReceiptPoller>,
}

impl Pushy {
    /// Creates the adapter.
    pub(super) fn new(context: &AdapterContext, settings: &PushySettings) -> Result<Self> {
        let base_url = settings.base_url()?;
        let requirements = ConnectionRequirements {
            is_tls: base_url.is_secure(),
            ca: settings.ca.clone(),
            ..ConnectionRequirements::default()
        };
        let api = Arc::new(PushyApi {
            settings: settings.clone(),
            base_url,
            client: context.http_clients.client_with(&context.limits, requirements)?,
            clock: context.clock.clone(),
        });
        Ok(Self {
            app_receipts: app_receipt_parser(settings.receipts_token.as_deref())?,
            account_evidence: AccountEvidence::default(),
            receipt_poller: settings.is_polling().then(|| ReceiptPoller::new(Arc::clone(&api))),
            api,
        })
    }

    /// Schedules polls for an accepted message and returns its result, with the id that its receipts will have.
    fn accept_push(&self, id: String, message: &OutboundMessage) -> SendResult {
        let reference = match self.app_receipts {
            Some(_) => gateway_id(message).to_string(),
            None => id.clone(),
        };
        if let Some(poller) = &self.receipt_poller {
            poller.track(AcceptedPush {
                id,
                token: message.to.clone(),
                reference: reference.clone(),
                expires_at: message.expires_at,
            });
        }
        Outcome::Accepted { reference: Some(reference) }.into()
    }
}

#[async_trait]
impl Provider for Pushy {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        // An address that begins with a slash is a topic, which reaches many devices.
        if message.to.is_empty() || message.to.starts_with('/') {
            let reason = "invalid device token".to_owned();
            return Outcome::InvalidRecipient { reason }.into();
        }
        let response = match self.api.push(message).await {
            Ok(response) => response,
            Err(result) => return result,
        };
        let result = match response::accepted_push_id(&response, &message.to) {
            Some(id) => self.accept_push(id, message),
            None => response::send_result(&response, &message.to),
        };
        let is_unknown_device = matches!(result.outcome, Outcome::InvalidRecipient { .. });
        self.account_evidence.assess(result, is_unknown_device, "api_key may belong to another app")
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        CallbackReceiptParser::parse_callback(self.app_receipts.as_ref(), request)
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::authenticated_if(self.app_receipts.is_some())
    }

    async fn receive(&self) -> Vec<CallbackItem> {
        match &self.receipt_poller {
            Some(poller) => poller.receive().await,
            None => std::future::pending().await,
        }
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Push
    }

    async fn check_account(&self) -> AccountCheck {
        match self.api.get(&["topics"]).await {
            Ok(response) if response.status == 200 => AccountCheck::Passed("api_key is valid".to_owned()),
            Ok(response) => {
                let code =
                    response.str_at("/code").map_or_else(|| response.http_status_text(), str::to_owned);
                let description = response.status_outcome().description;
                AccountCheck::Failed(format!(
                    "{description} ({code}); check that api_key is the secret key of the app"
                ))
            }
            Err(result) => AccountCheck::Failed(result.outcome.reason().unwrap_or_default().to_owned()),
        }
    }

    fn endpoint(&self) -> (String, u16) {
        self.api.base_url.endpoint()
    }
}
