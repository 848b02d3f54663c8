//! Firebase Cloud Messaging, HTTP v1: pushes to apps and browsers through a Google service account.
//!
//! `access.rs` keeps the account's token, `document.rs` makes the message, `answer.rs` reads what came of it. A token that
//! is refused in the middle is renewed once, within the same call. FCM never says whether a message reached the
//! device; the app can (`receipts_token`).

mod access_token;
mod request;
mod response;
mod settings;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::callback_auth::{AccountEvidence, AppReceipts};
use super::http_client::{ConnectionRequirements, HttpClient};
use super::json_api::{JsonResponse, gateway_id, into_json_response, json_post_request, set_bearer_token};
use super::{
    AccountCheck, AdapterContext, CallbackError, CallbackMode, CallbackRequest, OutboundMessage, Provider,
};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;
use postrider_core::recipient::AddressKind;

use access_token::AccessTokens;
pub use settings::FcmSettings;

/// An account at FCM.
pub struct Fcm {
    settings: FcmSettings,
    access_tokens: AccessTokens,
    app_receipts: Option<AppReceipts>,
    account_evidence: AccountEvidence,
    client: HttpClient,
    clock: Clock,
}

impl Fcm {
    /// An account as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &FcmSettings) -> Result<Self> {
        let clock = context.clock.clone();
        let line = |secure| {
            let demands = ConnectionRequirements {
                is_tls: secure,
                ca: settings.ca.clone(),
                ..ConnectionRequirements::default()
            };
            context.http_clients.client_with(&context.limits, demands)
        };
        let door = line(settings.account.token_url.is_secure())?;
        Ok(Self {
            access_tokens: AccessTokens::new(&settings.account, door, clock.clone())?,
            app_receipts: AppReceipts::new(settings.receipts_token.as_deref())?,
            account_evidence: AccountEvidence::default(),
            client: line(settings.base_url.is_secure())?,
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
            self.settings
                .base_url
                .resource_url(&["v1", "projects", &self.settings.project, "messages:send"]);
        let mut request = json_post_request(url, document);
        set_bearer_token(request.headers_mut(), token);
        into_json_response(self.client.call_with_timeout(limit, request).await)
    }

    /// What FCM says, the token renewed once when it was refused. Nothing has left while there is no token, so that
    /// the next provider can be asked.
    async fn send_with_token_renewal(&self, document: &Value) -> Result<JsonResponse, SendResult> {
        let stint = self.client.start_deadline();
        let late = || {
            SendResult::from(Outcome::Unavailable {
                reason: access_token::TOKEN_TIMEOUT_REASON.to_owned(),
            })
        };
        let limit = stint.remaining().ok_or_else(late)?;
        let token = self.access_tokens.token(limit).await?;
        let limit = stint.remaining().ok_or_else(late)?;
        let heard = self.send_once(document, &token, limit).await?;
        if !response::is_token_refused(&heard) {
            return Ok(heard);
        }
        let limit = stint.remaining().ok_or_else(late)?;
        let token = self.access_tokens.replace_token(&token, limit).await?;
        let limit = stint.remaining().ok_or_else(late)?;
        self.send_once(document, &token, limit).await
    }
}

#[async_trait]
impl Provider for Fcm {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        let document = request::send_request(&self.settings, parcel, self.clock.now());
        let answer = match self.send_with_token_renewal(&document).await {
            Ok(heard) => response::send_result(&heard),
            Err(answer) => answer,
        };
        let wrong_project = answer.code.as_deref() == Some(response::SENDER_ID_MISMATCH);
        let answer = self.account_evidence.assess(
            answer,
            wrong_project,
            "the devices' tokens may belong to another project",
        );
        match answer.outcome {
            Outcome::Accepted { .. } if self.app_receipts.is_some() => SendResult {
                outcome: Outcome::Accepted {
                    reference: Some(gateway_id(parcel).to_string()),
                },
                ..answer
            },
            _ => answer,
        }
    }

    fn parse_callback_sync(&self, call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        AppReceipts::parse_callback(self.app_receipts.as_ref(), call)
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::authenticated_if(self.app_receipts.is_some())
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Push
    }

    /// FCM looks at a message for nobody and sends it to nobody, after it has looked at the account.
    async fn check_account(&self) -> AccountCheck {
        let heard = match self.send_with_token_renewal(&request::dry_run_request()).await {
            Ok(heard) => heard,
            Err(answer) => {
                return AccountCheck::Failed(answer.outcome.reason().unwrap_or_default().to_owned());
            }
        };
        match response::send_result(&heard).outcome {
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
