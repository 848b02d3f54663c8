//! Speaks to any provider with an HTTP interface, by configuration alone.
//!
//! `template.rs`, `body.rs` and `request.rs` make the request, `rules.rs` reads the answer, `receipts.rs` reads what the
//! provider says later. Knows no provider by name, and repeats nothing.

mod answer;
mod body;
mod json;
mod receipts;
mod request;
mod rules;
mod secrets;
mod settings;
mod template;

#[cfg(test)]
mod tests;

use async_trait::async_trait;

use super::outbound::{Line, Reply};
use super::{Call, Callbacks, Checked, Parcel, Provider, Refusal};
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::channel::Name;
use crate::domain::inbound::Incoming;
use crate::domain::recipient::AddressKind;
use crate::error::Result;

pub(super) use answer::retry_after;
pub(super) use receipts::Reader;
use request::Form;
use rules::Rules;
use settings::ReceiptsBy;
pub use settings::Settings;
pub(super) use settings::acknowledgements;

/// A provider that is reached over HTTP.
pub struct Http {
    form: Form,
    rules: Rules,
    receipts: Option<Reader>,
    callbacks: Callbacks,
    address: AddressKind,
    line: Line,
}

impl Http {
    /// A provider as the settings describe it.
    pub(super) fn new(
        name: &Name,
        settings: &Settings,
        public_url: &str,
        callback_token: &str,
        line: Line,
    ) -> Result<Self> {
        let constants = settings.constants(name.to_string(), public_url, callback_token);
        let receipts = settings.reader()?;
        let callbacks = match (&settings.receipts, &receipts) {
            (Some(ReceiptsBy::Texting), _) => Callbacks::Texting,
            (_, Some(reader)) if reader.asks_for_secrets() => Callbacks::Authenticated,
            (_, Some(_)) => Callbacks::Unsigned,
            (_, None) => Callbacks::Closed,
        };
        Ok(Self {
            form: Form::read(settings, &constants)?,
            rules: Rules::read(settings)?,
            receipts,
            callbacks,
            address: settings.address,
            line,
        })
    }
}

#[async_trait]
impl Provider for Http {
    async fn send(&self, parcel: &Parcel) -> Answer {
        let request = match self.form.fill(parcel) {
            Ok(request) => request,
            Err(reason) => return Outcome::Rejected { reason }.into(),
        };
        match self.line.call(request).await {
            Reply::Answered(answered) => self.rules.answer(&answered),
            Reply::NeverLeft(reason) => Outcome::Unavailable { reason }.into(),
            Reply::Silence(reason) => Outcome::Unknown { reason }.into(),
            Reply::Unsendable(reason) => Outcome::Rejected { reason }.into(),
        }
    }

    fn receipts(&self, call: &Call) -> Result<Vec<Incoming>, Refusal> {
        let receipts = self
            .receipts
            .as_ref()
            .ok_or(Refusal::NotExpected)?
            .receipts(call)?;
        Ok(receipts.into_iter().map(Incoming::Receipt).collect())
    }

    fn callbacks(&self) -> Callbacks {
        self.callbacks
    }

    fn address(&self) -> AddressKind {
        self.address
    }

    async fn check(&self) -> Checked {
        self.line.reach(self.form.root().clone()).await
    }

    fn place(&self) -> (String, u16) {
        self.form.place()
    }
}
