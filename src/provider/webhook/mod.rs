//! Posts messages to HTTPS endpoints, signed as Standard Webhooks wants it: one endpoint that the configuration names, or
//! the URL that is the recipient's address.
//!
//! Those URLs are strangers' input, so calls go where `guard.rs` lets them and nowhere else. The id is the same however
//! often a message is sent, so an endpoint that was reached twice can tell.

mod courier;
mod meanings;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;

use super::guard::Guard;
use super::reading::read_table;
use super::{Call, CallLimits, Parcel, Provider, Refusal, Tape};
use crate::clock::{Clock, from_millis};
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::id::DeliveryId;
use crate::domain::inbound::Incoming;
use crate::domain::recipient::AddressKind;
use crate::error::{Error, Result};

pub use courier::{Courier, Letter, Posted, address};
use meanings::{Whose, answer};
pub use signature::Secrets;

/// The keys of `kind = "webhook"`.
#[derive(Clone, Debug)]
pub struct Settings {
    url: Option<Url>,
    secrets: Secrets,
    guard: Guard,
}

/// The keys as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Where every message goes; without it, to the recipient's address.
    url: Option<String>,
    /// `whsec_` and Base64, the newest first. Several while receivers change from one to the next.
    secrets: Vec<String>,
    /// Networks that may be called although they are not public, also over http and on any port.
    #[serde(default)]
    networks: Vec<String>,
    /// Ports of public addresses that may be called.
    #[serde(default = "usual_ports")]
    ports: Vec<u16>,
}

fn usual_ports() -> Vec<u16> {
    vec![443]
}

impl Settings {
    /// Reads and checks everything.
    pub(super) fn read(table: toml::Table) -> Result<Self> {
        let written: Written = read_table(table)?;
        let fault = |key: &str| {
            let key = key.to_owned();
            move |cause: String| Error::usage(format!("{key}: {cause}"))
        };
        let secrets = Secrets::read(&written.secrets).map_err(fault("secrets"))?;
        if secrets.are_none() {
            return Err(fault("secrets")(
                "is empty; nobody could tell our calls from others".to_owned(),
            ));
        }
        let guard = Guard::read(&written.networks, &written.ports).map_err(fault("networks"))?;
        let url = written.url.map(|url| address(&guard, &url).map_err(fault("url")));
        Ok(Self {
            url: url.transpose()?,
            secrets,
            guard,
        })
    }
}

/// A provider whose calls are webhooks.
pub struct Webhook {
    url: Option<Url>,
    secrets: Secrets,
    courier: Courier,
}

impl Webhook {
    /// A provider as the settings describe it.
    pub(super) fn new(settings: &Settings, limits: &CallLimits, tape: Option<Tape>) -> Result<Self> {
        let courier = Courier::new(settings.guard.clone(), limits.connect, limits.call)?;
        Ok(Self {
            url: settings.url.clone(),
            secrets: settings.secrets.clone(),
            courier: courier.taped(tape),
        })
    }
}

#[async_trait]
impl Provider for Webhook {
    async fn send(&self, parcel: &Parcel) -> Answer {
        let (url, whose) = match &self.url {
            Some(url) => (url.clone(), Whose::Ours),
            None => match self.courier.address(&parcel.to) {
                Ok(url) => (url, Whose::Recipients),
                Err(reason) => return Outcome::InvalidRecipient { reason }.into(),
            },
        };
        let letter = Letter {
            url: &url,
            secrets: &self.secrets,
            id: &id(parcel),
            body: body(parcel, whose),
            now: Clock::System.now(),
        };
        answer(self.courier.post(letter).await, whose)
    }

    fn receipts(&self, _call: &Call) -> Result<Vec<Incoming>, Refusal> {
        Err(Refusal::NotExpected)
    }

    fn address(&self) -> AddressKind {
        match self.url {
            Some(_) => AddressKind::Any,
            None => AddressKind::Url,
        }
    }

    fn place(&self) -> (String, u16) {
        let named = |url: &Url| {
            let port = url.port_or_known_default().unwrap_or_default();
            (url.host_str().unwrap_or_default().to_owned(), port)
        };
        self.url.as_ref().map_or(("webhook".to_owned(), 0), named)
    }
}

/// The message's name and the delivery's place in it: the same in every round.
fn id(parcel: &Parcel) -> String {
    let message = parcel.message.to_string().replace('-', "");
    format!(
        "msg_{message}_{}",
        parcel.delivery.0.rem_euclid(DeliveryId::PER_MESSAGE)
    )
}

/// The same bytes in every round: the time is that of the message, which its name begins with.
fn body(parcel: &Parcel, whose: Whose) -> Vec<u8> {
    let [a, b, c, d, e, f, ..] = parcel.message.bytes();
    let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let mut told = json!({
        "type": "message",
        "timestamp": from_millis(millis).to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "data": {
            "message_id": parcel.message.to_string(),
            "subject": parcel.subject,
            "body": parcel.body,
        },
    });
    if whose == Whose::Ours {
        told["data"]["to"] = parcel.to.clone().into();
    }
    told.to_string().into_bytes()
}
