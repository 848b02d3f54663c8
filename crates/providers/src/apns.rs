//! Apple's push service: pushes to apps over HTTP/2, proven by a token that this machine signs itself.
//!
//! `token.rs` keeps the token, `answer.rs` reads what Apple says. Apple never says whether a message reached the device;
//! the app can (`receipts_token`). An id that is the same in every round replaces what the device shows already.

mod provider_token;
mod response;
mod settings;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;

use super::callback_auth::{AccountEvidence, AppReceipts};
use super::http_client::{ConnectionRequirements, HttpClient};
use super::json_api::{JsonResponse, gateway_id, into_json_response, json_post_request, set_bearer_token};
use super::{
    AccountCheck, AdapterContext, CallbackError, CallbackMode, CallbackRequest, OutboundMessage, Provider,
};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::from_millis;
use postrider_core::error::Result;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound::CallbackItem;
use postrider_core::recipient::AddressKind;

use provider_token::ProviderTokenSigner;
pub use settings::ApnsSettings;

/// The lengths of a device's token that were ever seen, in hexadecimal digits.
const DEVICE_TOKEN_DIGITS: std::ops::RangeInclusive<usize> = 32..=200;

/// An app at Apple's.
pub struct Apns {
    settings: ApnsSettings,
    signer: ProviderTokenSigner,
    app_receipts: Option<AppReceipts>,
    account_evidence: AccountEvidence,
    client: HttpClient,
}

impl Apns {
    /// An app as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &ApnsSettings) -> Result<Self> {
        let demands = ConnectionRequirements {
            is_tls: settings.base_url.is_secure(),
            is_http2_only: true,
            ca: settings.ca.clone(),
        };
        Ok(Self {
            signer: ProviderTokenSigner::new(settings, context.clock.clone())?,
            app_receipts: AppReceipts::new(settings.receipts_token.as_deref())?,
            account_evidence: AccountEvidence::default(),
            client: context.http_clients.client_with(&context.limits, demands)?,
            settings: settings.clone(),
        })
    }

    fn push_request(&self, parcel: &OutboundMessage, token: &str) -> Request {
        let own_id = gateway_id(parcel).to_string();
        let mut alert = json!({"body": parcel.body});
        if let Some(title) = parcel.subject.as_ref().or(self.settings.title.as_ref()) {
            alert["title"] = json!(title);
        }
        let mut aps = json!({"alert": alert});
        if let Some(sound) = &self.settings.sound {
            aps["sound"] = json!(sound);
        }
        let mut document = json!({"aps": aps, "gw_id": own_id});
        for (name, text) in &self.settings.data {
            document[name] = json!(text);
        }
        let url = self.settings.base_url.resource_url(&["3", "device", &parcel.to]);
        let mut request = json_post_request(url, &document);
        set_bearer_token(request.headers_mut(), token);
        let expires_at = parcel.expires_at.timestamp().max(0).to_string();
        for (name, value) in [
            ("apns-topic", self.settings.topic.as_str()),
            ("apns-push-type", "alert"),
            ("apns-id", &own_id),
            ("apns-collapse-id", &own_id),
            ("apns-expiration", &expires_at),
            ("apns-priority", self.settings.priority.header_value()),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                request.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        request
    }

    async fn send_once(
        &self,
        parcel: &OutboundMessage,
        token: &str,
        limit: Duration,
    ) -> Result<JsonResponse, SendResult> {
        let request = self.push_request(parcel, token);
        into_json_response(self.client.call_with_timeout(limit, request).await)
    }

    /// What Apple says, the token renewed once when it was too old.
    async fn send_with_token_renewal(&self, parcel: &OutboundMessage) -> Result<JsonResponse, SendResult> {
        let stint = self.client.start_deadline();
        let token = self.signer.token(None)?;
        let heard = match stint.remaining() {
            Some(limit) => self.send_once(parcel, &token, limit).await?,
            None => return Err(deadline_exceeded()),
        };
        if !response::is_token_expired(&heard) {
            return Ok(heard);
        }
        let token = self.signer.token(Some(&token))?;
        match stint.remaining() {
            Some(limit) => self.send_once(parcel, &token, limit).await,
            None => Err(deadline_exceeded()),
        }
    }
}

fn deadline_exceeded() -> SendResult {
    let reason = "there was no time left to repeat it with a new token; nothing was sent".to_owned();
    Outcome::Unavailable { reason }.into()
}

#[async_trait]
impl Provider for Apns {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        let is_digit = |byte: u8| byte.is_ascii_hexdigit();
        if !DEVICE_TOKEN_DIGITS.contains(&parcel.to.len()) || !parcel.to.bytes().all(is_digit) {
            let reason = "is no token of a device at Apple's, which is hexadecimal digits only".to_owned();
            return Outcome::InvalidRecipient { reason }.into();
        }
        let answer = match self.send_with_token_renewal(parcel).await {
            Ok(heard) => response::send_result(&heard, || gateway_id(parcel).to_string()),
            Err(answer) => answer,
        };
        let elsewhere = response::is_environment_or_topic_mismatch(&answer);
        let suspicion = "they may belong to the other environment (sandbox) or to another app (topic)";
        self.account_evidence.assess(answer, elsewhere, suspicion)
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

    /// Apple looks at the account before it finds that there is no such device.
    async fn check_account(&self) -> AccountCheck {
        let nobody = OutboundMessage {
            delivery_id: DeliveryId(0),
            message_id: MessageId::from_bytes([0; 16]),
            round: 0,
            to: "0".repeat(64),
            spelling: String::new(),
            subject: None,
            body: "dry run".to_owned(),
            parts: 1,
            expires_at: from_millis(0),
        };
        let answer = match self.send_with_token_renewal(&nobody).await {
            Ok(heard) => response::send_result(&heard, String::new),
            Err(answer) => answer,
        };
        match answer.outcome {
            Outcome::Accepted { .. } | Outcome::InvalidRecipient { .. } => {
                AccountCheck::Passed("key, team and topic are good".to_owned())
            }
            other => AccountCheck::Failed(other.reason().unwrap_or(other.as_str()).to_owned()),
        }
    }

    fn endpoint(&self) -> (String, u16) {
        self.settings.base_url.endpoint()
    }
}
