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

/// Parses the settings of a kind. Secrets are resolved already, and the keys that every kind has are removed.
type SettingsParser = fn(toml::Table) -> Result<ProviderSettings>;

/// The value of `kind` in the configuration and the parser of every kind, in the order of the documentation.
#[rustfmt::skip]
static KINDS: [(&str, SettingsParser); 14] = [
    ("mock", |table| with_constructor(mock::MockSettings::read(table), mock::MockProvider::new)),
    ("http", |table| with_constructor(http::read_settings(table), http::HttpProvider::new)),
    ("smpp", |table| with_constructor(smpp::SmppSettings::read(table), smpp::Smpp::new)),
    ("fcm", |table| with_constructor(fcm::FcmSettings::read(table), fcm::Fcm::new)),
    ("apns", |table| with_constructor(apns::ApnsSettings::read(table), apns::Apns::new)),
    ("pushy", |table| with_constructor(pushy::PushySettings::read(table), pushy::Pushy::new)),
    ("messenger", |table| with_constructor(messenger::MessengerSettings::read(table), messenger::Messenger::new)),
    ("twilio", |table| with_constructor(twilio::TwilioSettings::read(table), twilio::Twilio::new)),
    ("vonage", |table| with_constructor(vonage::VonageSettings::read(table), vonage::Vonage::new)),
    ("plivo", |table| with_constructor(plivo::PlivoSettings::read(table), plivo::Plivo::new)),
    ("kavenegar", |table| with_constructor(kavenegar::KavenegarSettings::read(table), kavenegar::Kavenegar::new)),
    ("webhook", |table| with_constructor(webhook::WebhookSettings::read(table), webhook::WebhookProvider::new)),
    ("ses", |table| with_constructor(ses::SesSettings::read(table), ses::Ses::new)),
    ("smtp", |table| with_constructor(smtp::SmtpSettings::read(table), smtp::Smtp::new)),
];

/// Constructs the adapter from settings that the closure owns.
type AdapterConstructor = dyn Fn(&AdapterContext) -> Result<Arc<dyn Provider>> + Send + Sync;

/// The validated settings of a provider, stored as a closure that constructs its adapter. `Debug` shows no settings,
/// because many are secret.
pub struct ProviderSettings(Box<AdapterConstructor>);

impl ProviderSettings {
    /// Parses the keys of a kind; secrets are resolved, the keys that every kind has are removed.
    ///
    /// # Errors
    ///
    /// Returns an error with the key and the remedy, never with a value. The caller adds the provider's name.
    pub fn read(kind: &str, table: toml::Table) -> Result<Self> {
        match KINDS.iter().find(|(name, _)| *name == kind) {
            Some((_, parse_settings)) => parse_settings(table),
            None => {
                let names = KINDS.map(|(name, _)| name).join(", ");
                Err(Error::usage(format!("kind \"{kind}\" is unknown; write one of: {names}")))
            }
        }
    }

    /// Constructs the adapter. Opens no connection.
    pub fn build(&self, context: &AdapterContext) -> Result<Arc<dyn Provider>> {
        (self.0)(context)
    }
}

impl Debug for ProviderSettings {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("ProviderSettings")
    }
}

fn with_constructor<S: Send + Sync + 'static, P: Provider + 'static>(
    settings: Result<S>,
    new: fn(&AdapterContext, &S) -> Result<P>,
) -> Result<ProviderSettings> {
    let settings = settings?;
    Ok(ProviderSettings(Box::new(move |context| Ok(Arc::new(new(context, &settings)?)))))
}
