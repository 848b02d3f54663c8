//! Sends push notifications to apps and browsers through Firebase Cloud Messaging (HTTP v1).
//!
//! Authenticates with a Google service account. A refused access token is renewed once within the same call. FCM does not
//! report delivery; the app can acknowledge a message (`receipts_token`).

mod access_token;
mod request;
mod response;
mod settings;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::account_evidence::AccountEvidence;
use super::app_receipts::app_receipt_parser;
use super::callback_receipts::CallbackReceiptParser;
use super::http_client::{ConnectionRequirements, HttpClient};
use super::json_api::{JsonResponse, gateway_id, into_json_response, json_post_request, set_bearer_token};
use super::{
    AccountCheck, AdapterContext, CallbackError, CallbackMode, CallbackRequest, OutboundMessage, Provider,
};
use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

use access_token::AccessTokens;
pub use settings::FcmSettings;

/// An FCM account.
pub struct Fcm {
    settings: FcmSettings,
    access_tokens: AccessTokens,
    app_receipts: Option<CallbackReceiptParser>,
    account_evidence: AccountEvidence,
    client: HttpClient,
    clock: Clock,
}

impl Fcm {
    /// Creates the adapter.
    pub(super) fn new(context: &AdapterContext, settings: &FcmSettings) -> Result<Self> {
        let clock = context.clock.clone();
        let client = |is_tls| {
            let requirements = ConnectionRequirements {
                is_tls,
                ca: settings.ca.clone(),
                ..ConnectionRequirements::default()
            };
            context.http_clients.client_with(&context.limits, requirements)
        };
        let token_client = client(settings.account.token_url.is_secure())?;
        Ok(Self {
            access_tokens: AccessTokens::new(&settings.account, token_client, clock.clone())?,
            app_receipts: app_receipt_parser(settings.receipts_token.as_deref())?,
            account_evidence: AccountEvidence::default(),
            client: client(settings.base_url.is_secure())?,
            settings: settings.clone(),
            clock,
        })
    }

    async fn send_once(
        &self,
        document: &Value,
        token: &str,
        limit: Duration,
    ) -> Result<JsonResponse, SendResult> {
        let url =
            self.settings.base_url.resource_url(&["v1", "projects", &self.settings.project, "messages:send"]);
        let mut request = json_post_request(url, document);
        set_bearer_token(request.headers_mut(), token);
        into_json_response(self.client.call_with_timeout(limit, request).await)
    }

    /// Sends a message, and once more with a new access token if FCM refused the token. Without a token nothing was sent,
    /// so the next provider may be tried.
    async fn send_with_token_renewal(&self, document: &Value) -> Result<JsonResponse, SendResult> {
        let deadline = self.client.start_deadline();
        let timed_out = || {
            SendResult::from(Outcome::Unavailable { reason: access_token::TOKEN_TIMEOUT_REASON.to_owned() })
        };
        let limit = deadline.remaining().ok_or_else(timed_out)?;
        let token = self.access_tokens.token(limit).await?;
        let limit = deadline.remaining().ok_or_else(timed_out)?;
        let response = self.send_once(document, &token, limit).await?;
        if !response::is_token_refused(&response) {
            return Ok(response);
        }
        let limit = deadline.remaining().ok_or_else(timed_out)?;
        let token = self.access_tokens.replace_token(&token, limit).await?;
        let limit = deadline.remaining().ok_or_else(timed_out)?;
        self.send_once(document, &token, limit).await
    }
}

#[async_trait]
impl Provider for Fcm {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let document = request::send_request(&self.settings, message, self.clock.now());
        let result = match self.send_with_token_renewal(&document).await {
            Ok(response) => response::send_result(&response),
            Err(result) => result,
        };
        let is_mismatch = result.code.as_deref() == Some(response::SENDER_ID_MISMATCH);
        let result = self.account_evidence.assess(
            result,
            is_mismatch,
            "the device tokens may belong to another project",
        );
        match result.outcome {
            Outcome::Accepted { .. } if self.app_receipts.is_some() => SendResult {
                outcome: Outcome::Accepted { reference: Some(gateway_id(message).to_string()) },
                ..result
            },
            _ => result,
        }
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

    /// Sends a dry run; FCM checks the account before the device.
    async fn check_account(&self) -> AccountCheck {
        let response = match self.send_with_token_renewal(&request::dry_run_request()).await {
            Ok(response) => response,
            Err(result) => {
                return AccountCheck::Failed(result.outcome.reason().unwrap_or_default().to_owned());
            }
        };
        match response::send_result(&response).outcome {
            Outcome::Accepted { .. } | Outcome::Rejected { .. } | Outcome::InvalidRecipient { .. } => {
                AccountCheck::Passed("the service account may send for this project".to_owned())
            }
            other => AccountCheck::Failed(other.reason().unwrap_or(other.as_str()).to_owned()),
        }
    }

    fn endpoint(&self) -> (String, u16) {
        self.settings.base_url.endpoint()
    }
}
