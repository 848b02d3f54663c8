//! Pushy: pushes over a connection of its own, also where Google cannot be reached.
//!
//! `answer.rs` reads what Pushy says to a send, `polling.rs` asks afterwards whether the device has it, because Pushy does
//! not tell by itself. The key stands in every URL, so no URL is ever shown.

mod answer;
mod polling;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};

use super::api::{Heard, Meaning, answered, own_id, post};
use super::outbound::{Demands, Line, Outbound};
use super::reception::{Acknowledgements, Trust};
use super::{Call, CallLimits, Callbacks, Checked, Parcel, Provider, Refusal};
use crate::clock::Clock;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::inbound::Incoming;
use crate::domain::recipient::AddressKind;
use crate::error::Result;

use polling::{Polling, Push};
pub use settings::Settings;

/// The longest Pushy keeps a message for a device that is off: 365 days, in seconds.
const TTL_SECONDS_MAX: i64 = 365 * 86_400;

/// An account at Pushy.
pub struct Pushy {
    desk: Arc<Desk>,
    acknowledgements: Option<Acknowledgements>,
    trust: Trust,
    polling: Option<Polling>,
}

/// Where Pushy is asked.
struct Desk {
    settings: Settings,
    line: Line,
    clock: Clock,
}

impl Desk {
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.settings.base_url.at(segments);
        url.query_pairs_mut()
            .append_pair("api_key", &self.settings.api_key);
        url
    }

    async fn get(&self, segments: &[&str]) -> Result<Heard, Answer> {
        let request = Request::new(Method::GET, self.url(segments));
        answered(self.line.call(request).await)
    }

    async fn push(&self, parcel: &Parcel) -> Result<Heard, Answer> {
        let request = post(self.url(&["push"]), &self.document(parcel));
        answered(self.line.call(request).await)
    }

    fn document(&self, parcel: &Parcel) -> Value {
        let title = parcel.subject.as_ref().or(self.settings.title.as_ref());
        let mut handed = json!({"message": parcel.body, "gw_id": own_id(parcel).to_string()});
        let mut notification = json!({"body": parcel.body});
        if let Some(title) = title {
            handed["title"] = json!(title);
            notification["title"] = json!(title);
        }
        if let Some(sound) = &self.settings.sound {
            notification["sound"] = json!(sound);
        }
        for (name, text) in &self.settings.extra {
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
    pub(super) fn new(
        settings: &Settings,
        limits: &CallLimits,
        outbound: &Outbound,
        clock: Clock,
    ) -> Result<Self> {
        let demands = Demands {
            secure: settings.base_url.is_secure(),
            authorities: settings.authorities.clone(),
            ..Demands::default()
        };
        let desk = Arc::new(Desk {
            settings: settings.clone(),
            line: outbound.line_that(limits, demands)?,
            clock,
        });
        Ok(Self {
            acknowledgements: Acknowledgements::read(settings.receipts_token.as_deref())?,
            trust: Trust::default(),
            polling: settings.polls.then(|| Polling::new(Arc::clone(&desk))),
            desk,
        })
    }

    /// Remembers what was accepted, and answers with the id that its receipts will carry.
    fn taken(&self, id: String, parcel: &Parcel) -> Answer {
        let reference = match self.acknowledgements {
            Some(_) => own_id(parcel).to_string(),
            None => id.clone(),
        };
        if let Some(polling) = &self.polling {
            polling.remember(Push {
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
    async fn send(&self, parcel: &Parcel) -> Answer {
        // A topic would reach others than the one it is for.
        if parcel.to.is_empty() || parcel.to.starts_with('/') {
            let reason = "is no token of a device".to_owned();
            return Outcome::InvalidRecipient { reason }.into();
        }
        let heard = match self.desk.push(parcel).await {
            Ok(heard) => heard,
            Err(answer) => return answer,
        };
        let answer = match answer::taken(&heard, &parcel.to) {
            Some(id) => self.taken(id, parcel),
            None => answer::answer(&heard, &parcel.to),
        };
        let nobody = matches!(answer.outcome, Outcome::InvalidRecipient { .. });
        self.trust
            .weigh(answer, nobody, "the key (api_key) may belong to another app")
    }

    fn receipts(&self, call: &Call) -> Result<Vec<Incoming>, Refusal> {
        Acknowledgements::receipts(self.acknowledgements.as_ref(), call)
    }

    fn callbacks(&self) -> Callbacks {
        Callbacks::if_any(self.acknowledgements.is_some())
    }

    async fn incoming(&self) -> Vec<Incoming> {
        match &self.polling {
            Some(polling) => polling.receipts().await,
            None => std::future::pending().await,
        }
    }

    fn address(&self) -> AddressKind {
        AddressKind::Push
    }

    async fn check(&self) -> Checked {
        match self.desk.get(&["topics"]).await {
            Ok(heard) if heard.status == 200 => Checked::Well("the key is good".to_owned()),
            Ok(heard) => {
                let code = heard
                    .text("/code")
                    .map_or_else(|| heard.status_code(), str::to_owned);
                let words = Meaning::of_status(heard.status).words;
                Checked::Wrong(format!("{words} ({code}); is api_key the secret key of the app?"))
            }
            Err(answer) => Checked::Wrong(answer.outcome.reason().unwrap_or_default().to_owned()),
        }
    }

    fn place(&self) -> (String, u16) {
        self.desk.settings.base_url.place()
    }
}
