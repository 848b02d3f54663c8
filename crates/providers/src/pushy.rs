//! Sends push notifications through Pushy, which reaches devices without Google services.
//!
//! Pushy sends no callbacks, so the status of each message is polled; the app can also acknowledge a message
//! (`receipts_token`). The key of the account is part of every URL, so no URL is ever shown.

mod api;
mod codes;
mod polling;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

use crate::account_evidence::AccountEvidence;
use crate::adapter_context::AdapterContext;
use crate::app_receipts::app_receipt_parser;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest};
use crate::callback_receipts::CallbackReceiptParser;
use crate::json_api::gateway_id;
use crate::provider::{AccountCheck, OutboundMessage, Provider};
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
    /// Returns the account that the settings describe.
    pub(super) fn new(context: &AdapterContext, pushy_settings: &PushySettings) -> Result<Self> {
        let api = Arc::new(PushyApi::new(context, pushy_settings)?);
        Ok(Self {
            app_receipts: app_receipt_parser(pushy_settings.receipts_token.as_deref())?,
            account_evidence: AccountEvidence::default(),
            receipt_poller: pushy_settings.poll.then(|| ReceiptPoller::new(Arc::clone(&api))),
            api,
        })
    }

    /// Schedules the polls of an accepted push. Returns the send result, with the id that the receipts will have.
    fn accept_push(&self, push_id: String, message: &OutboundMessage) -> SendResult {
        let reference = match self.app_receipts {
            Some(_) => gateway_id(message).to_string(),
            None => push_id.clone(),
        };
        if let Some(poller) = &self.receipt_poller {
            poller.track(AcceptedPush {
                id: push_id,
                device_token: message.to.clone(),
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
            Err(pushy_result) => return pushy_result,
        };
        let pushy_result = match codes::accepted_push_id(&response, &message.to) {
            Some(push_id) => self.accept_push(push_id, message),
            None => codes::send_result(&response, &message.to),
        };
        let is_unknown_device = matches!(pushy_result.outcome, Outcome::InvalidRecipient { .. });
        self.account_evidence.assess(pushy_result, is_unknown_device, "api_key may belong to another app")
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

    fn endpoint(&self) -> (String, u16) {
        self.api.endpoint()
    }

    async fn check_account(&self) -> AccountCheck {
        let response = match self.api.get(&["topics"]).await {
            Ok(response) if response.status == 200 => {
                return AccountCheck::Passed("api_key is valid".to_owned());
            }
            Ok(response) => response,
            Err(result) => return AccountCheck::failed(&result.outcome),
        };
        let code = response.str_at("/code").map_or_else(|| response.http_status_text(), str::to_owned);
        let description = response.status_outcome().description;
        AccountCheck::Failed(format!(
            "{description} ({code}); check that api_key is the secret key of the app"
        ))
    }
}
