//! Sends push notifications to apps and browsers through Firebase Cloud Messaging (HTTP v1).
//!
//! Authenticates with a Google service account. A refused access token is renewed once within the same call. FCM does not
//! report delivery; the app can acknowledge a message (`receipts_token`).

mod access_token;
mod codes;
mod request;
mod settings;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use reqwest::Url;
use serde_json::Value;

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

use crate::account_evidence::AccountEvidence;
use crate::adapter_context::AdapterContext;
use crate::app_receipts::app_receipt_parser;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest};
use crate::callback_receipts::CallbackReceiptParser;
use crate::http_client::{ConnectionRequirements, HttpClient, host_and_port};
use crate::json_api::{JsonResponse, gateway_id, json_post_request, set_bearer_token};
use crate::provider::{AccountCheck, OutboundMessage, Provider};
use crate::token_renewal::send_with_token;
use access_token::AccessTokens;
pub use settings::FcmSettings;

/// An FCM account.
pub struct Fcm {
    settings: FcmSettings,
    send_url: Url,
    client: HttpClient,
    access_tokens: AccessTokens,
    app_receipts: Option<CallbackReceiptParser>,
    account_evidence: AccountEvidence,
    clock: Clock,
}

impl Fcm {
    /// Returns the account that the settings describe.
    pub(super) fn new(context: &AdapterContext, fcm_settings: &FcmSettings) -> Result<Self> {
        let client = |is_tls| {
            let requirements = ConnectionRequirements {
                is_tls,
                ca: fcm_settings.ca.clone(),
                ..ConnectionRequirements::default()
            };
            context.http_clients.client_with(&context.limits, requirements)
        };
        let base_url = fcm_settings.base_url()?;
        let token_client = client(fcm_settings.token_url()?.is_secure())?;
        Ok(Self {
            client: client(base_url.is_secure())?,
            send_url: base_url.resource_url(&["v1", "projects", fcm_settings.project()?, "messages:send"]),
            access_tokens: AccessTokens::new(fcm_settings, token_client, context.clock.clone())?,
            app_receipts: app_receipt_parser(fcm_settings.receipts_token.as_deref())?,
            account_evidence: AccountEvidence::default(),
            settings: fcm_settings.clone(),
            clock: context.clock.clone(),
        })
    }

    async fn call(&self, document: &Value) -> Result<JsonResponse, SendResult> {
        let request = |token: &str| {
            let mut request = json_post_request(self.send_url.clone(), document);
            set_bearer_token(request.headers_mut(), token);
            request
        };
        send_with_token(&self.client, &self.access_tokens, request, codes::is_token_refused).await
    }
}

#[async_trait]
impl Provider for Fcm {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let fcm_document = request::request(&self.settings, message, self.clock.now());
        let fcm_result = match self.call(&fcm_document).await {
            Ok(response) => codes::send_result(&response),
            Err(fcm_result) => fcm_result,
        };
        let is_mismatch = fcm_result.code.as_deref() == Some(codes::SENDER_ID_MISMATCH);
        let suspicion = "the device tokens may belong to another project";
        let mut fcm_result = self.account_evidence.assess(fcm_result, is_mismatch, suspicion);
        if let Outcome::Accepted { reference } = &mut fcm_result.outcome
            && self.app_receipts.is_some()
        {
            *reference = Some(gateway_id(message).to_string());
        }
        fcm_result
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        CallbackReceiptParser::parse_callback(self.app_receipts.as_ref(), request)
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::authenticated_if(self.app_receipts.is_some())
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Push
    }

    fn endpoint(&self) -> (String, u16) {
        host_and_port(&self.send_url)
    }

    /// Sends a dry run; FCM checks the account before the device.
    async fn check_account(&self) -> AccountCheck {
        let fcm_result = match self.call(&request::dry_run_request()).await {
            Ok(response) => codes::send_result(&response),
            Err(fcm_result) => return AccountCheck::failed(&fcm_result.outcome),
        };
        match fcm_result.outcome {
            Outcome::Accepted { .. } | Outcome::Rejected { .. } | Outcome::InvalidRecipient { .. } => {
                AccountCheck::Passed("the service account may send for this project".to_owned())
            }
            failure => AccountCheck::failed(&failure),
        }
    }
}
