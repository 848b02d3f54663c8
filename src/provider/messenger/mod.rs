//! Facebook Messenger: messages from a page to people who have written to it.
//!
//! `answer.rs` reads what the Send API says, `webhook.rs` what Facebook tells us later, signed with the app's secret. The
//! page's token stands in every URL, so no URL is ever shown. There is no idempotency key.

mod answer;
mod settings;
mod webhook;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};
use sha2::Sha256;

use super::api::{Meaning, answered, post};
use super::outbound::{Line, Outbound};
use super::{Acknowledgement, Call, CallLimits, Callbacks, Checked, Parcel, Provider, Refusal};
use crate::clock::Clock;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::inbound::Incoming;
use crate::domain::recipient::AddressKind;
use crate::error::Result;

pub use settings::Settings;
use webhook::Sent;

/// A page.
pub struct Messenger {
    settings: Settings,
    /// Proves that who has the token also has the app's secret.
    proof: Option<String>,
    sent: Sent,
    line: Line,
    clock: Clock,
}

impl Messenger {
    /// A page as the settings describe it.
    pub(super) fn new(
        settings: &Settings,
        limits: &CallLimits,
        outbound: &Outbound,
        clock: Clock,
    ) -> Result<Self> {
        let secret = settings.app_secret.as_deref();
        Ok(Self {
            proof: secret.and_then(|secret| proof(secret, &settings.access_token)),
            sent: Sent::default(),
            line: outbound.line(limits, settings.base_url.is_secure())?,
            settings: settings.clone(),
            clock,
        })
    }

    fn url(&self, segments: &[&str]) -> Url {
        let settings = &self.settings;
        let path = [&[settings.version.as_str(), &settings.page_id], segments].concat();
        let mut url = settings.base_url.at(&path);
        let mut query = url.query_pairs_mut();
        query.append_pair("access_token", &settings.access_token);
        if let Some(proof) = &self.proof {
            query.append_pair("appsecret_proof", proof);
        }
        drop(query);
        url
    }

    fn document(&self, parcel: &Parcel) -> Value {
        let settings = &self.settings;
        let mut document = json!({
            "recipient": {"id": parcel.to},
            "messaging_type": settings.messaging_type,
            "message": {"text": parcel.body},
        });
        if let Some(tag) = &settings.tag {
            document["tag"] = json!(tag);
        }
        if let Some(kind) = &settings.notification_type {
            document["notification_type"] = json!(kind);
        }
        document
    }
}

/// The token signed with the app's secret.
fn proof(secret: &str, token: &str) -> Option<String> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(token.as_bytes());
    let digest = mac.finalize().into_bytes();
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[async_trait]
impl Provider for Messenger {
    async fn send(&self, parcel: &Parcel) -> Answer {
        let request = post(self.url(&["messages"]), &self.document(parcel));
        // Before the call: Facebook's time of the message must not lie before ours.
        let began = self.clock.now();
        let heard = match answered(self.line.call(request).await) {
            Ok(heard) => heard,
            Err(answer) => return answer,
        };
        let answer = answer::answer(&heard);
        if let Outcome::Accepted { reference: Some(id) } = &answer.outcome {
            self.sent.remember(&parcel.to, id, began);
        }
        answer
    }

    fn receipts(&self, call: &Call) -> Result<Vec<Incoming>, Refusal> {
        webhook::receipts(&self.settings, &self.sent, call)
    }

    fn acknowledgement(&self, call: &Call) -> Option<Acknowledgement> {
        webhook::challenge(call).map(|body| Acknowledgement {
            content_type: Some("text/plain"),
            body,
        })
    }

    fn callbacks(&self) -> Callbacks {
        let settings = &self.settings;
        Callbacks::if_any(settings.app_secret.is_some() || settings.verify_token.is_some())
    }

    fn address(&self) -> AddressKind {
        AddressKind::Messenger
    }

    async fn check(&self) -> Checked {
        let mut url = self.url(&[]);
        url.query_pairs_mut().append_pair("fields", "id");
        match answered(self.line.call(Request::new(Method::GET, url)).await) {
            Ok(heard) if heard.status == 200 && heard.text("/id").is_some() => {
                Checked::Well("the token is good for this page".to_owned())
            }
            Ok(heard) => {
                let code = heard
                    .json
                    .pointer("/error/code")
                    .map_or_else(|| heard.status_code(), Value::to_string);
                let words = Meaning::of_status(heard.status).words;
                Checked::Wrong(format!(
                    "{words} (code {code}); are access_token, page_id and app_secret right?"
                ))
            }
            Err(answer) => Checked::Wrong(answer.outcome.reason().unwrap_or_default().to_owned()),
        }
    }

    fn place(&self) -> (String, u16) {
        self.settings.base_url.place()
    }
}
