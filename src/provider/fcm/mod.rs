//! Firebase Cloud Messaging, HTTP v1: pushes to apps and browsers through a Google service account.
//!
//! `access.rs` keeps the account's token, `document.rs` makes the message, `answer.rs` reads what came of it. A token that
//! is refused in the middle is renewed once, within the same call. FCM never says whether a message reached the
//! device; the app can (`receipts_token`).

mod access;
mod answer;
mod document;
mod settings;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::api::{Heard, answered, bear, own_id, post};
use super::outbound::{Demands, Line, Outbound};
use super::reception::{Acknowledgements, Trust};
use super::{Call, CallLimits, Callbacks, Checked, Parcel, Provider, Refusal};
use crate::clock::Clock;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::inbound::Incoming;
use crate::domain::recipient::AddressKind;
use crate::error::Result;

use access::Access;
pub use settings::Settings;

/// An account at FCM.
pub struct Fcm {
    settings: Settings,
    access: Access,
    acknowledgements: Option<Acknowledgements>,
    trust: Trust,
    line: Line,
    clock: Clock,
}

impl Fcm {
    /// An account as the settings describe it.
    pub(super) fn new(
        settings: &Settings,
        limits: &CallLimits,
        outbound: &Outbound,
        clock: Clock,
    ) -> Result<Self> {
        let line = |secure| {
            let demands = Demands {
                secure,
                authorities: settings.authorities.clone(),
                ..Demands::default()
            };
            outbound.line_that(limits, demands)
        };
        let door = line(settings.account.token_url.is_secure())?;
        Ok(Self {
            access: Access::new(&settings.account, door, clock.clone())?,
            acknowledgements: Acknowledgements::read(settings.receipts_token.as_deref())?,
            trust: Trust::default(),
            line: line(settings.base_url.is_secure())?,
            settings: settings.clone(),
            clock,
        })
    }

    async fn call(&self, document: &Value, token: &str, limit: Duration) -> Result<Heard, Answer> {
        let url = self
            .settings
            .base_url
            .at(&["v1", "projects", &self.settings.project, "messages:send"]);
        let mut request = post(url, document);
        bear(request.headers_mut(), token);
        answered(self.line.call_within(limit, request).await)
    }

    /// What FCM says, the token renewed once when it was refused. Nothing has left while there is no token, so that
    /// the next provider can be asked.
    async fn converse(&self, document: &Value) -> Result<Heard, Answer> {
        let stint = self.line.stint();
        let late = || {
            Answer::from(Outcome::Unavailable {
                reason: access::LATE.to_owned(),
            })
        };
        let limit = stint.left().ok_or_else(late)?;
        let token = self.access.token(limit).await?;
        let limit = stint.left().ok_or_else(late)?;
        let heard = self.call(document, &token, limit).await?;
        if !answer::refuses_token(&heard) {
            return Ok(heard);
        }
        let limit = stint.left().ok_or_else(late)?;
        let token = self.access.token_instead_of(&token, limit).await?;
        let limit = stint.left().ok_or_else(late)?;
        self.call(document, &token, limit).await
    }
}

#[async_trait]
impl Provider for Fcm {
    async fn send(&self, parcel: &Parcel) -> Answer {
        let document = document::message(&self.settings, parcel, self.clock.now());
        let answer = match self.converse(&document).await {
            Ok(heard) => answer::answer(&heard),
            Err(answer) => answer,
        };
        let wrong_project = answer.code.as_deref() == Some(answer::WRONG_PROJECT);
        let answer = self.trust.weigh(
            answer,
            wrong_project,
            "the devices' tokens may belong to another project",
        );
        match answer.outcome {
            Outcome::Accepted { .. } if self.acknowledgements.is_some() => Answer {
                outcome: Outcome::Accepted {
                    reference: Some(own_id(parcel).to_string()),
                },
                ..answer
            },
            _ => answer,
        }
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

    /// FCM looks at a message for nobody and sends it to nobody, after it has looked at the account.
    async fn check(&self) -> Checked {
        let heard = match self.converse(&document::dry_run()).await {
            Ok(heard) => heard,
            Err(answer) => return Checked::Wrong(answer.outcome.reason().unwrap_or_default().to_owned()),
        };
        match answer::answer(&heard).outcome {
            Outcome::Accepted { .. } | Outcome::Rejected { .. } | Outcome::InvalidRecipient { .. } => {
                Checked::Well("the service account may send for this project".to_owned())
            }
            other => Checked::Wrong(other.reason().unwrap_or(other.word()).to_owned()),
        }
    }

    fn place(&self) -> (String, u16) {
        self.settings.base_url.place()
    }
}
