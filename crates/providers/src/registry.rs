//! The kinds of provider: their names, their settings and their constructors.
//!
//! A new kind is one entry in [`KINDS`].

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use postrider_core::error::{Error, Result};

use crate::adapter_context::AdapterContext;
use crate::provider::Provider;
use crate::{
    apns, fcm, http, kavenegar, messenger, mock, plivo, pushy, ses, smpp, smtp, twilio, vonage, webhook,
};

/// Every kind of provider, in the order of the documentation.
#[rustfmt::skip]
static KINDS: &[&dyn ProviderKind] = &[
    &Kind { name: "mock", read: mock::MockSettings::read, new: mock::MockProvider::new },
    &Kind { name: "http", read: http::read_settings, new: http::HttpProvider::new },
    &Kind { name: "smpp", read: smpp::SmppSettings::read, new: smpp::Smpp::new },
    &Kind { name: "fcm", read: fcm::FcmSettings::read, new: fcm::Fcm::new },
    &Kind { name: "apns", read: apns::ApnsSettings::read, new: apns::Apns::new },
    &Kind { name: "pushy", read: pushy::PushySettings::read, new: pushy::Pushy::new },
    &Kind { name: "messenger", read: messenger::MessengerSettings::read, new: messenger::Messenger::new },
    &Kind { name: "twilio", read: twilio::TwilioSettings::read, new: twilio::Twilio::new },
    &Kind { name: "vonage", read: vonage::VonageSettings::read, new: vonage::Vonage::new },
    &Kind { name: "plivo", read: plivo::PlivoSettings::read, new: plivo::Plivo::new },
    &Kind { name: "kavenegar", read: kavenegar::KavenegarSettings::read, new: kavenegar::Kavenegar::new },
    &Kind { name: "webhook", read: webhook::WebhookSettings::read, new: webhook::WebhookProvider::new },
    &Kind { name: "ses", read: ses::SesSettings::read, new: ses::Ses::new },
    &Kind { name: "smtp", read: smtp::SmtpSettings::read, new: smtp::Smtp::new },
];

/// One kind: `S` are its settings, `P` is its adapter.
struct Kind<S, P> {
    /// The value of `kind` in the configuration.
    name: &'static str,
    /// Parses the settings: secrets are resolved, the keys that every kind has are removed.
    read: fn(toml::Table) -> Result<S>,
    new: fn(&AdapterContext, &S) -> Result<P>,
}

/// A [`Kind`] without its type parameters.
trait ProviderKind: Sync {
    fn name(&self) -> &'static str;
    fn read(&'static self, table: toml::Table) -> Result<ProviderSettings>;
}

/// A kind's parsed settings without their type.
trait ParsedSettings: Send + Sync {
    fn build(&self, context: &AdapterContext) -> Result<Arc<dyn Provider>>;
}

struct KindSettings<S: 'static, P: 'static> {
    kind: &'static Kind<S, P>,
    settings: S,
}

impl<S: Send + Sync, P: Provider + 'static> ProviderKind for Kind<S, P> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&'static self, table: toml::Table) -> Result<ProviderSettings> {
        let settings = (self.read)(table)?;
        Ok(ProviderSettings(Box::new(KindSettings { kind: self, settings })))
    }
}

impl<S: Send + Sync, P: Provider + 'static> ParsedSettings for KindSettings<S, P> {
    fn build(&self, context: &AdapterContext) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new((self.kind.new)(context, &self.settings)?))
    }
}

/// The validated settings of a provider. `Debug` shows no setting, because many are secret.
pub struct ProviderSettings(Box<dyn ParsedSettings>);

impl Debug for ProviderSettings {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ProviderSettings").finish_non_exhaustive()
    }
}

impl ProviderSettings {
    /// Parses the keys of a kind; secrets are resolved, the keys that every kind has are removed.
    ///
    /// # Errors
    ///
    /// Names the key and the remedy, never a value. The caller adds the provider's name.
    pub fn read(kind: &str, table: toml::Table) -> Result<Self> {
        let entry = KINDS.iter().find(|entry| entry.name() == kind);
        entry.ok_or_else(|| unknown_kind(kind))?.read(table)
    }

    /// Constructs the adapter. Opens no connection.
    pub fn build(&self, context: &AdapterContext) -> Result<Arc<dyn Provider>> {
        self.0.build(context)
    }
}

fn unknown_kind(kind: &str) -> Error {
    let names: Vec<_> = KINDS.iter().map(|entry| entry.name()).collect();
    Error::usage(format!("kind \"{kind}\" is unknown; write one of: {}", names.join(", ")))
}
