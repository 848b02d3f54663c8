//! The outside world: those who carry messages.
//!
//! An adapter turns a parcel into its provider's wire and the provider's answer into an outcome, and nothing
//! else: it never sees a retry, a state or the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use postrider_core::address::AddressKind;
use postrider_core::attempt::SendResult;
use postrider_core::clock::{Clock, Timestamp};
use postrider_core::error::{Error, Result};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound::CallbackItem;
use postrider_core::name::ConfigName;

pub mod apns;
mod callback_auth;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod egress_policy;
mod email_address;
pub mod fcm;
pub mod http;
mod http_client;
#[cfg(any(test, feature = "testing"))]
pub mod http_stub;
mod json_api;
mod jwt;
pub mod kavenegar;
pub mod messenger;
pub mod mock;
mod outcome_kind;
#[cfg(test)]
mod peer;
pub mod plivo;
pub mod pushy;
pub mod ses;
mod settings_reader;
pub mod smpp;
mod sms;
pub mod smtp;
pub mod transcript;
pub mod twilio;
pub mod vonage;
pub mod webhook;

pub use egress_policy::EgressPolicy;
pub use http_client::HttpClientPool;
pub use transcript::Transcript;

/// What every provider can do. `contract.rs` decides what a provider is.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Hands over one parcel. Failure is an outcome, never an error and never a panic; silence after the
    /// request had left is `Unknown`.
    async fn send(&self, parcel: &OutboundMessage) -> SendResult;

    /// Reads the receipts and inbound texts in a provider's call to us, after checking that it is the provider who
    /// calls. None when it says only what changes nothing.
    fn parse_callback_sync(&self, call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError>;

    /// Like [`Provider::receipts`], for those who have to ask their provider something first: for a certificate to check
    /// a signature with, or whether a subscription is meant.
    async fn parse_callback(&self, call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        self.parse_callback_sync(call)
    }

    /// What the provider wants to read when its call was taken; none is the number of things heard, as JSON.
    fn callback_response(&self, _call: &CallbackRequest) -> Option<CallbackResponse> {
        None
    }

    /// How receipts reach it over HTTP, and what proves that the provider sent them. An adapter that does not say so
    /// takes none over HTTP.
    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::Disabled
    }

    /// Receipts and inbound texts that come over the provider's own connection or out of its own head. Waits until
    /// there are some; a provider that has none waits for ever.
    async fn receive(&self) -> Vec<CallbackItem> {
        std::future::pending().await
    }

    /// How many receipts it is sure to bring, or has brought. Only one who plays knows that.
    fn expected_receipt_count(&self) -> u64 {
        0
    }

    /// Which kind of address it wants to be given. On a channel that mixes kinds the recipient's address of this kind
    /// is its [`Parcel::to`], and without one it is not asked; who wants `Any` is given the main one.
    fn address_kind(&self) -> AddressKind {
        AddressKind::Any
    }

    /// Whether it can write to this address, which is of the kind it wants: some serve one country only. It is not asked
    /// otherwise.
    fn can_send_to(&self, _address: &str) -> bool {
        true
    }

    /// Where it is: host and port, or its kind and 0 where it has none.
    fn endpoint(&self) -> (String, u16);

    /// Asks whether the account works, by a call that sends nothing and costs nothing. Without such a call nothing is
    /// asked, and the answer says so.
    async fn check_account(&self) -> AccountCheck {
        AccountCheck::Untested("its account cannot be tested without sending".to_owned())
    }

    /// Whether it only plays a provider, so that nothing really leaves.
    fn is_mock(&self) -> bool {
        false
    }
}

/// How a provider's receipts come in over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackMode {
    /// Not at all: it brings none, brings them over its own connection, or its configuration holds no secret to
    /// check them with.
    Disabled,
    /// At `/v1/receipts/NAME`, with a signature or a secret that the adapter checks.
    Authenticated,
    /// At `/v1/receipts/NAME` without any proof, because its configuration says `unsigned = true`.
    Unsigned,
    /// At `/messages/delivery_status`, with the token of the callback URL that each message carries.
    Texting,
}

impl CallbackMode {
    /// Authenticated where a secret is configured, else closed.
    fn authenticated_if(has_secret: bool) -> Self {
        if has_secret {
            Self::Authenticated
        } else {
            Self::Disabled
        }
    }
}

/// What a call that sends nothing has shown, for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountCheck {
    /// The provider answered as it should; says what that shows, and what it does not.
    Passed(String),
    /// What is wrong, and what to do about it.
    Failed(String),
    /// Nothing was asked; says what stays untested. Whether its place can be reached is for the asker to try.
    Untested(String),
}

/// One message for one address, as a provider needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundMessage {
    /// Our delivery; with `round` it makes a key that providers can tell repetitions by.
    pub delivery_id: DeliveryId,
    /// Our message.
    pub message_id: MessageId,
    /// Which claim of the delivery this is.
    pub round: u32,
    /// The normalised address, of the kind that [`Provider::address`] asks for.
    pub to: String,
    /// The address as the client wrote it.
    pub spelling: String,
    /// The line above the body, for those that have one (the subject of a mail, the title of a push): the message's own,
    /// else the channel's. None leaves it to the adapter's settings. Without line breaks.
    pub subject: Option<String>,
    /// What it says.
    pub body: String,
    /// How many text parts it has.
    pub parts: u32,
    /// After this moment it is worth nothing to the person any more: for providers that keep what they cannot deliver.
    pub expires_at: Timestamp,
}

/// A provider's HTTP call to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallbackRequest {
    /// `POST` or `GET`.
    pub method: String,
    /// The URL the provider called, as the public sees it: some sign it.
    pub url: String,
    /// The raw query string.
    pub query: String,
    /// Header names in lower case; values that are no text are left out.
    pub headers: BTreeMap<String, String>,
    /// The raw body.
    pub body: Vec<u8>,
    /// When we heard it.
    pub received_at: Timestamp,
}

/// What we answer, with 200, to a provider's call that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackResponse {
    /// The type of the body; no header without one.
    pub content_type: Option<&'static str>,
    /// The whole body.
    pub body: String,
}

impl CallbackResponse {
    /// Nothing but the status, as most want it.
    pub fn empty() -> Self {
        Self {
            content_type: None,
            body: String::new(),
        }
    }
}

/// Why a provider's call to us was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackError {
    /// The signature or secret is missing or wrong.
    Unauthenticated,
    /// It cannot be read; the text says what is missing, for the provider's developer.
    Malformed(String),
    /// This provider sends no receipts.
    NotSupported,
    /// It cannot be checked now; the text says why. The provider is to call again.
    Unavailable(String),
}

/// The settings of one kind of provider, read and checked.
#[derive(Clone, Debug)]
pub enum ProviderSettings {
    /// Plays a provider.
    Mock(mock::MockSettings),
    /// Speaks to any provider with an HTTP interface, by templates.
    Http(Box<http::HttpSettings>),
    /// A message centre, over SMPP.
    Smpp(Box<smpp::SmppSettings>),
    /// Pushes through Firebase Cloud Messaging.
    Fcm(Box<fcm::FcmSettings>),
    /// Pushes through Apple.
    Apns(Box<apns::ApnsSettings>),
    /// Pushes through Pushy.
    Pushy(Box<pushy::PushySettings>),
    /// Messages through Facebook Messenger.
    Messenger(Box<messenger::MessengerSettings>),
    /// Sends texts through Twilio.
    Twilio(Box<twilio::TwilioSettings>),
    /// Sends texts through Vonage.
    Vonage(Box<vonage::VonageSettings>),
    /// Sends texts through Plivo.
    Plivo(Box<plivo::PlivoSettings>),
    /// Sends texts through Kavenegar.
    Kavenegar(Box<kavenegar::KavenegarSettings>),
    /// Posts to HTTPS endpoints, signed.
    Webhook(Box<webhook::WebhookSettings>),
    /// Sends mails through Amazon's service for mail.
    Ses(Box<ses::SesSettings>),
    /// Hands mails to a mail server.
    Smtp(Box<smtp::SmtpSettings>),
}

impl ProviderSettings {
    /// Every kind there is, as the configuration writes it.
    pub const KINDS: [&str; 14] = [
        "mock",
        "http",
        "smpp",
        "fcm",
        "apns",
        "pushy",
        "messenger",
        "twilio",
        "vonage",
        "plivo",
        "kavenegar",
        "webhook",
        "ses",
        "smtp",
    ];

    /// Reads a kind's own keys, secrets resolved and the keys of every kind taken out. The error names the key
    /// and the remedy, never a value; whoever knows the provider's name puts it in front.
    pub fn read(kind: &str, table: toml::Table) -> Result<Self> {
        match kind {
            "mock" => Ok(Self::Mock(mock::MockSettings::read(table)?)),
            "http" => Ok(Self::Http(Box::new(http::HttpSettings::read(table)?))),
            "smpp" => Ok(Self::Smpp(Box::new(smpp::SmppSettings::read(table)?))),
            "fcm" => Ok(Self::Fcm(Box::new(fcm::FcmSettings::read(table)?))),
            "apns" => Ok(Self::Apns(Box::new(apns::ApnsSettings::read(table)?))),
            "pushy" => Ok(Self::Pushy(Box::new(pushy::PushySettings::read(table)?))),
            "messenger" => Ok(Self::Messenger(Box::new(messenger::MessengerSettings::read(
                table,
            )?))),
            "twilio" => Ok(Self::Twilio(Box::new(twilio::TwilioSettings::read(table)?))),
            "vonage" => Ok(Self::Vonage(Box::new(vonage::VonageSettings::read(table)?))),
            "plivo" => Ok(Self::Plivo(Box::new(plivo::PlivoSettings::read(table)?))),
            "kavenegar" => Ok(Self::Kavenegar(Box::new(kavenegar::KavenegarSettings::read(
                table,
            )?))),
            "webhook" => Ok(Self::Webhook(Box::new(webhook::WebhookSettings::read(table)?))),
            "ses" => Ok(Self::Ses(Box::new(ses::SesSettings::read(table)?))),
            "smtp" => Ok(Self::Smtp(Box::new(smtp::SmtpSettings::read(table)?))),
            other => Err(Error::usage(format!(
                "kind \"{other}\" is unknown; write one of: {}",
                Self::KINDS.join(", ")
            ))),
        }
    }
}

/// How far a call may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// How long connecting may take, name look-up and TLS included.
    pub connect_timeout: Duration,
    /// How long the whole call may take, connecting included. Longer than `connect`, or a host that is away
    /// passes for one that went silent.
    pub call_timeout: Duration,
    /// The longest answer that is read, in bytes.
    pub response_bytes_max: usize,
}

/// Makes a provider ready. `public_url`, without a slash at its end, is where it can send its receipts;
/// `callback_token` goes into the callback URL of those that report to `/messages/delivery_status`.
pub fn build(
    name: &ConfigName,
    settings: &ProviderSettings,
    limits: &CallLimits,
    public_url: &str,
    callback_token: &str,
    outbound: &HttpClientPool,
) -> Result<Arc<dyn Provider>> {
    let clock = Clock::System;
    let site = AdapterContext {
        name,
        limits,
        public_url,
        http_clients: outbound,
    };
    match settings {
        ProviderSettings::Mock(settings) => Ok(Arc::new(mock::MockProvider::new(name, settings, limits))),
        ProviderSettings::Http(settings) => {
            let line = outbound.client(limits, settings.is_secure())?;
            let http = http::HttpProvider::new(name, settings, public_url, callback_token, line)?;
            Ok(Arc::new(http))
        }
        ProviderSettings::Smpp(settings) => Ok(Arc::new(smpp::Smpp::new(
            name,
            settings,
            limits,
            outbound.transcript(),
        )?)),
        ProviderSettings::Fcm(settings) => Ok(Arc::new(fcm::Fcm::new(settings, limits, outbound, clock)?)),
        ProviderSettings::Apns(settings) => Ok(Arc::new(apns::Apns::new(settings, limits, outbound, clock)?)),
        ProviderSettings::Pushy(settings) => {
            Ok(Arc::new(pushy::Pushy::new(settings, limits, outbound, clock)?))
        }
        ProviderSettings::Messenger(settings) => Ok(Arc::new(messenger::Messenger::new(
            settings, limits, outbound, clock,
        )?)),
        ProviderSettings::Twilio(settings) => Ok(Arc::new(twilio::Twilio::new(&site, settings)?)),
        ProviderSettings::Vonage(settings) => Ok(Arc::new(vonage::Vonage::new(&site, settings)?)),
        ProviderSettings::Plivo(settings) => Ok(Arc::new(plivo::Plivo::new(&site, settings)?)),
        ProviderSettings::Kavenegar(settings) => Ok(Arc::new(kavenegar::Kavenegar::new(&site, settings)?)),
        ProviderSettings::Webhook(settings) => Ok(Arc::new(webhook::WebhookProvider::new(
            settings,
            limits,
            outbound.transcript(),
        )?)),
        ProviderSettings::Ses(settings) => {
            let line = outbound.client(limits, settings.is_secure())?;
            Ok(Arc::new(ses::Ses::new(settings, line)?))
        }
        ProviderSettings::Smtp(settings) => Ok(Arc::new(smtp::Smtp::new(
            settings,
            limits,
            outbound.transcript(),
        )?)),
    }
}

/// What an adapter is built with, beside its own settings.
#[derive(Clone, Copy)]
struct AdapterContext<'a> {
    /// Its name in the configuration.
    name: &'a ConfigName,
    limits: &'a CallLimits,
    /// Without a slash at its end.
    public_url: &'a str,
    http_clients: &'a HttpClientPool,
}
