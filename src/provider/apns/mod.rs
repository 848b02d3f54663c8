//! Apple's push service: pushes to apps over HTTP/2, proven by a token that this machine signs itself.
//!
//! `token.rs` keeps the token, `answer.rs` reads what Apple says. Apple never says whether a message reached the device;
//! the app can (`receipts_token`). An id that is the same in every round replaces what the device shows already.

mod answer;
mod settings;
mod token;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;

use super::api::{Heard, answered, bear, own_id, post};
use super::outbound::{Demands, Line, Outbound};
use super::reception::{Acknowledgements, Trust};
use super::{Call, CallLimits, Callbacks, Checked, Parcel, Provider, Refusal};
use crate::clock::{Clock, from_millis};
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::inbound::Incoming;
use crate::domain::recipient::AddressKind;
use crate::error::Result;

pub use settings::Settings;
use token::Signer;

/// The lengths of a device's token that were ever seen, in hexadecimal digits.
const TOKEN_DIGITS: std::ops::RangeInclusive<usize> = 32..=200;

/// An app at Apple's.
pub struct Apns {
    settings: Settings,
    signer: Signer,
    acknowledgements: Option<Acknowledgements>,
    trust: Trust,
    line: Line,
}

impl Apns {
    /// An app as the settings describe it.
    pub(super) fn new(
        settings: &Settings,
        limits: &CallLimits,
        outbound: &Outbound,
        clock: Clock,
    ) -> Result<Self> {
        let demands = Demands {
            secure: settings.base_url.is_secure(),
            only_http2: true,
            authorities: settings.authorities.clone(),
        };
        Ok(Self {
            signer: Signer::new(settings, clock)?,
            acknowledgements: Acknowledgements::read(settings.receipts_token.as_deref())?,
            trust: Trust::default(),
            line: outbound.line_that(limits, demands)?,
            settings: settings.clone(),
        })
    }

    fn request(&self, parcel: &Parcel, token: &str) -> Request {
        let own_id = own_id(parcel).to_string();
        let mut alert = json!({"body": parcel.body});
        if let Some(title) = parcel.subject.as_ref().or(self.settings.title.as_ref()) {
            alert["title"] = json!(title);
        }
        let mut aps = json!({"alert": alert});
        if let Some(sound) = &self.settings.sound {
            aps["sound"] = json!(sound);
        }
        let mut document = json!({"aps": aps, "gw_id": own_id});
        for (name, text) in &self.settings.extra {
            document[name] = json!(text);
        }
        let url = self.settings.base_url.at(&["3", "device", &parcel.to]);
        let mut request = post(url, &document);
        bear(request.headers_mut(), token);
        let expires_at = parcel.expires_at.timestamp().max(0).to_string();
        for (name, value) in [
            ("apns-topic", self.settings.topic.as_str()),
            ("apns-push-type", "alert"),
            ("apns-id", &own_id),
            ("apns-collapse-id", &own_id),
            ("apns-expiration", &expires_at),
            ("apns-priority", self.settings.priority.number()),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                request.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        request
    }

    async fn call(&self, parcel: &Parcel, token: &str, limit: Duration) -> Result<Heard, Answer> {
        let request = self.request(parcel, token);
        answered(self.line.call_within(limit, request).await)
    }

    /// What Apple says, the token renewed once when it was too old.
    async fn converse(&self, parcel: &Parcel) -> Result<Heard, Answer> {
        let stint = self.line.stint();
        let token = self.signer.token(None)?;
        let heard = match stint.left() {
            Some(limit) => self.call(parcel, &token, limit).await?,
            None => return Err(late()),
        };
        if !answer::refuses_age(&heard) {
            return Ok(heard);
        }
        let token = self.signer.token(Some(&token))?;
        match stint.left() {
            Some(limit) => self.call(parcel, &token, limit).await,
            None => Err(late()),
        }
    }
}

fn late() -> Answer {
    let reason = "there was no time left to repeat it with a new token; nothing was sent".to_owned();
    Outcome::Unavailable { reason }.into()
}

#[async_trait]
impl Provider for Apns {
    async fn send(&self, parcel: &Parcel) -> Answer {
        let is_digit = |byte: u8| byte.is_ascii_hexdigit();
        if !TOKEN_DIGITS.contains(&parcel.to.len()) || !parcel.to.bytes().all(is_digit) {
            let reason = "is no token of a device at Apple's, which is hexadecimal digits only".to_owned();
            return Outcome::InvalidRecipient { reason }.into();
        }
        let answer = match self.converse(parcel).await {
            Ok(heard) => answer::answer(&heard, || own_id(parcel).to_string()),
            Err(answer) => answer,
        };
        let elsewhere = answer::may_belong_elsewhere(&answer);
        let suspicion = "they may belong to the other environment (sandbox) or to another app (topic)";
        self.trust.weigh(answer, elsewhere, suspicion)
    }

    fn receipts(&self, call: &Call) -> Result<Vec<Incoming>, Refusal> {
        Acknowledgements::receipts(self.acknowledgements.as_ref(), call)
    }

    fn callbacks(&self) -> Callbacks {
        Callbacks::if_any(self.acknowledgements.is_some())
    }

    fn address(&self) -> AddressKind {
        AddressKind::Push
    }

    /// Apple looks at the account before it finds that there is no such device.
    async fn check(&self) -> Checked {
        let nobody = Parcel {
            delivery: DeliveryId(0),
            message: MessageId::from_bytes([0; 16]),
            round: 0,
            to: "0".repeat(64),
            spelling: String::new(),
            subject: None,
            body: "dry run".to_owned(),
            parts: 1,
            expires_at: from_millis(0),
        };
        let answer = match self.converse(&nobody).await {
            Ok(heard) => answer::answer(&heard, String::new),
            Err(answer) => answer,
        };
        match answer.outcome {
            Outcome::Accepted { .. } | Outcome::InvalidRecipient { .. } => {
                Checked::Well("key, team and topic are good".to_owned())
            }
            other => Checked::Wrong(other.reason().unwrap_or(other.word()).to_owned()),
        }
    }

    fn place(&self) -> (String, u16) {
        self.settings.base_url.place()
    }
}
