//! Pushy: pushes over a connection of its own, also where Google cannot be reached.
//!
//! `answer.rs` reads what Pushy says to a send, `polling.rs` asks afterwards whether the device has it, because Pushy does
//! not tell by itself. The key stands in every URL, so no URL is ever shown.

mod polling;
mod response;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};

use super::callback_auth::{AccountEvidence, AppReceipts};
use super::http_client::{ConnectionRequirements, HttpClient};
use super::json_api::{JsonResponse, OutcomeCode, gateway_id, into_json_response, json_post_request};
use super::{
    AccountCheck, AdapterContext, CallbackError, CallbackMode, CallbackRequest, OutboundMessage, Provider,
};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;
use postrider_core::recipient::AddressKind;

use polling::{AcceptedPush, ReceiptPoller};
pub use settings::PushySettings;

/// The longest Pushy keeps a message for a device that is off: 365 days, in seconds.
const TTL_SECONDS_MAX: i64 = 365 * 86_400;

/// An account at Pushy.
pub struct Pushy {
    api: Arc<PushyApi>,
    app_receipts: Option<AppReceipts>,
    account_evidence: AccountEvidence,
    receipt_poller: Option<ReceiptPoller>,
}

/// Where Pushy is asked.
struct PushyApi {
    settings: PushySettings,
    client: HttpClient,
    clock: Clock,
}

impl PushyApi {
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.settings.base_url.resource_url(segments);
        url.query_pairs_mut()
            .append_pair("api_key", &self.settings.api_key);
        url
    }

    async fn get(&self, segments: &[&str]) -> Result<JsonResponse, SendResult> {
        let request = Request::new(Method::GET, self.url(segments));
        into_json_response(self.client.call(request).await)
    }

    async fn push(&self, parcel: &OutboundMessage) -> Result<JsonResponse, SendResult> {
        let request = json_post_request(self.url(&["push"]), &self.push_json(parcel));
        into_json_response(self.client.call(request).await)
    }

    fn push_json(&self, parcel: &OutboundMessage) -> Value {
        let title = parcel.subject.as_ref().or(self.settings.title.as_ref());
        let mut handed = json!({"message": parcel.body, "gw_id": gateway_id(parcel).to_string()});
        let mut notification = json!({"body": parcel.body});
        if let Some(title) = title {
            handed["title"] = json!(title);
            notification["title"] = json!(title);
        }
        if let Some(sound) = &self.settings.sound {
            notification["sound"] = json!(sound);
        }
        for (name, text) in &self.settings.data {
            handed[name] = json!(text);
        }
        let seconds = (parcel.expires_at - self.clock.now()).num_seconds();
        json!({
            "to": parcel.to,
            "data": handed,
            "notification": notification,
            "time_to_live": seconds.clamp(1, TTL_SECONDS_MAX),
        })
    }
}

impl Pushy {
    /// An account as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &PushySettings) -> Result<Self> {
        let demands = ConnectionRequirements {
            is_tls: settings.base_url.is_secure(),
            ca: settings.ca.clone(),
            ..ConnectionRequirements::default()
        };
        let desk = Arc::new(PushyApi {
            settings: settings.clone(),
            client: context.http_clients.client_with(&context.limits, demands)?,
            clock: context.clock.clone(),
        });
        Ok(Self {
            app_receipts: AppReceipts::new(settings.receipts_token.as_deref())?,
            account_evidence: AccountEvidence::default(),
            receipt_poller: settings.is_polling.then(|| ReceiptPoller::new(Arc::clone(&desk))),
            api: desk,
        })
    }

    /// Remembers what was accepted, and answers with the id that its receipts will carry.
    fn accept_push(&self, id: String, parcel: &OutboundMessage) -> SendResult {
        let reference = match self.app_receipts {
            Some(_) => gateway_id(parcel).to_string(),
            None => id.clone(),
        };
        if let Some(polling) = &self.receipt_poller {
            polling.track(AcceptedPush {
                id,
                token: parcel.to.clone(),
                reference: reference.clone(),
                expires_at: parcel.expires_at,
            });
        }
        Outcome::Accepted {
            reference: Some(reference),
        }
        .into()
    }
}

#[async_trait]
impl Provider for Pushy {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        // A topic would reach others than the one it is for.
        if parcel.to.is_empty() || parcel.to.starts_with('/') {
            let reason = "is no token of a device".to_owned();
            return Outcome::InvalidRecipient { reason }.into();
        }
        let heard = match self.api.push(parcel).await {
            Ok(heard) => heard,
            Err(answer) => return answer,
        };
        let answer = match response::accepted_push_id(&heard, &parcel.to) {
            Some(id) => self.accept_push(id, parcel),
            None => response::send_result(&heard, &parcel.to),
        };
        let nobody = matches!(answer.outcome, Outcome::InvalidRecipient { .. });
        self.account_evidence
            .assess(answer, nobody, "the key (api_key) may belong to another app")
    }

    fn parse_callback_sync(&self, call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        AppReceipts::parse_callback(self.app_receipts.as_ref(), call)
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::authenticated_if(self.app_receipts.is_some())
    }

    async fn receive(&self) -> Vec<CallbackItem> {
        match &self.receipt_poller {
            Some(polling) => polling.receive().await,
            None => std::future::pending().await,
        }
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Push
    }

    async fn check_account(&self) -> AccountCheck {
        match self.api.get(&["topics"]).await {
            Ok(heard) if heard.status == 200 => AccountCheck::Passed("the key is good".to_owned()),
            Ok(heard) => {
                let code = heard
                    .str_at("/code")
                    .map_or_else(|| heard.http_status_text(), str::to_owned);
                let words = OutcomeCode::from_http_status(heard.status).description;
                AccountCheck::Failed(format!("{words} ({code}); is api_key the secret key of the app?"))
            }
            Err(answer) => AccountCheck::Failed(answer.outcome.reason().unwrap_or_default().to_owned()),
        }
    }

    fn endpoint(&self) -> (String, u16) {
        self.api.settings.base_url.endpoint()
    }
}
