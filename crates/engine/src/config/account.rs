//! The account of an API key: its credentials for the compatible APIs and the SMPP server, and rules for what it sends.
//!
//! The `Debug` output contains no secret.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// Credentials and rules of one `[[keys]]` table beside its API key. The default has no credentials and no restrictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User and password of the Kannel and Jasmin APIs.
    pub user: Option<UserLogin>,
    /// SID and token of the Twilio API.
    pub twilio: Option<TwilioLogin>,
    /// Key and secret of the Vonage API.
    pub vonage: Option<VonageLogin>,
    /// System id and password of the SMPP server.
    pub smpp: Option<SmppLogin>,
    /// Networks from which the account is used; empty for all.
    pub networks: Vec<IpNet>,
    /// Senders that its messages may name; empty for all.
    pub senders: Vec<String>,
    /// Sender of messages that name none; `None` leaves it to the provider's settings.
    pub default_sender: Option<String>,
    /// Channel of messages from APIs that name none; `None` uses the first channel.
    pub channel: Option<String>,
    /// Beginnings of the phone numbers that it sends to, such as `+98912`; empty for all.
    pub prefixes: Vec<String>,
    /// Maximum number of text parts in a second, for each process; `None` means no limit.
    pub rate: Option<u32>,
    /// Maximum number of its SMPP sessions at one time, for each process.
    pub smpp_sessions_max: u32,
}

/// SHA-256 of a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordDigest(pub [u8; 32]);

/// A user of the Kannel and Jasmin APIs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLogin {
    /// The name.
    pub user: String,
    /// The digest of the password.
    pub password: PasswordDigest,
}

/// An account of the Twilio API.
#[derive(Clone, PartialEq, Eq)]
pub struct TwilioLogin {
    /// `AC` and 32 hexadecimal digits.
    pub sid: String,
    /// The auth token. It also signs callbacks, so the token itself is kept.
    pub token: String,
}

/// An account of the Vonage API.
#[derive(Clone, PartialEq, Eq)]
pub struct VonageLogin {
    /// The API key.
    pub key: String,
    /// The API secret. It also checks signatures, so the secret itself is kept.
    pub secret: String,
}

/// An account of the SMPP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmppLogin {
    /// At most 15 ASCII characters.
    pub system_id: String,
    /// The digest of the password.
    pub password: PasswordDigest,
}

impl Account {
    /// Sessions of one account when the configuration does not say: enough for a client with several processes.
    pub const SMPP_SESSIONS_MAX: u32 = 10;

    /// Returns the configuration key and the value of each name under which the account signs in.
    pub fn login_names(&self) -> Vec<(&'static str, &str)> {
        let names = [
            ("user", self.user.as_ref().map(|login| login.user.as_str())),
            ("twilio_sid", self.twilio.as_ref().map(|login| login.sid.as_str())),
            ("vonage_key", self.vonage.as_ref().map(|login| login.key.as_str())),
            ("smpp_system_id", self.smpp.as_ref().map(|login| login.system_id.as_str())),
        ];
        names.into_iter().filter_map(|(key, name)| name.map(|name| (key, name))).collect()
    }

    /// Returns whether the account may be used from this address.
    pub fn allows_network(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address))
    }

    /// Returns whether the account may send to a phone number in E.164.
    pub fn allows_phone(&self, phone: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| phone.starts_with(prefix))
    }

    /// Returns whether its messages may name this sender.
    pub fn allows_sender(&self, sender: &str) -> bool {
        self.senders.is_empty()
            || self.default_sender.as_deref() == Some(sender)
            || self.senders.iter().any(|allowed| allowed == sender)
    }
}

impl Default for Account {
    fn default() -> Self {
        Self {
            user: None,
            twilio: None,
            vonage: None,
            smpp: None,
            networks: Vec::new(),
            senders: Vec::new(),
            default_sender: None,
            channel: None,
            prefixes: Vec::new(),
            rate: None,
            smpp_sessions_max: Self::SMPP_SESSIONS_MAX,
        }
    }
}

impl fmt::Debug for PasswordDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordDigest")
    }
}

impl fmt::Debug for TwilioLogin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TwilioLogin").field("sid", &self.sid).finish_non_exhaustive()
    }
}

impl fmt::Debug for VonageLogin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("VonageLogin").field("key", &self.key).finish_non_exhaustive()
    }
}
