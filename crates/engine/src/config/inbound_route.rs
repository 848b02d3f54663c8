//! Routes of inbound messages, as the configuration states them.

use std::fmt;

use postrider_core::inbound::InboundMessage;
use postrider_core::inbound_record::InboundTarget;
use postrider_core::keywords::{first_word, normalize_sender};
use postrider_core::name::ConfigName;
use regex::Regex;

/// A route of inbound messages. The first route that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundRoute {
    /// Name of the route.
    pub name: String,
    /// Our numbers or names to which people write, as [`normalize_sender`] returns them; empty for all.
    pub to: Vec<String>,
    /// First words, as [`normalize_keyword`] returns them; empty for all texts.
    pub keywords: Vec<String>,
    /// A pattern that the text has to match.
    pub pattern: Option<InboundPattern>,
    /// The provider that delivers the text.
    pub provider: Option<ConfigName>,
    /// Name of the API key that the messages belong to; empty if they belong to none.
    pub account: String,
    /// Where the messages go; none if they are only kept.
    pub target: Option<InboundRouteTarget>,
}

/// The target to which a route forwards its messages.
#[derive(Clone, PartialEq, Eq)]
pub enum InboundRouteTarget {
    /// A signed event `message.received` to this URL.
    Webhook(String),
    /// A signed event `message.received` to the `events_url` of the account.
    AccountWebhook,
    /// A GET request of this URL, in which the escapes of Kannel are expanded. The answer is the reply.
    GetUrl(String),
    /// A form of Twilio to this URL. The answer is TwiML.
    TwilioUrl(String),
    /// A message over the channel to the e-mail address.
    Email {
        /// The channel.
        channel: ConfigName,
        /// The address.
        address: String,
    },
}

impl InboundRouteTarget {
    /// Returns the kind of the target.
    pub fn kind(&self) -> InboundTarget {
        match self {
            Self::Webhook(_) | Self::AccountWebhook => InboundTarget::Webhook,
            Self::GetUrl(_) => InboundTarget::GetUrl,
            Self::TwilioUrl(_) => InboundTarget::TwilioUrl,
            Self::Email { .. } => InboundTarget::Email,
        }
    }
}

impl fmt::Debug for InboundRouteTarget {
    /// Writes the kind only: a URL may hold a secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.kind().as_str())
    }
}

/// A regular expression; two are equal if their texts are. It is matched in linear time.
#[derive(Clone)]
pub struct InboundPattern(Regex);

impl InboundPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// Returns the reason, for people, if the text is no regular expression.
    pub fn parse(text: &str) -> Result<Self, String> {
        Regex::new(text).map(Self).map_err(|cause| cause.to_string())
    }
}

impl fmt::Debug for InboundPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_str().fmt(out)
    }
}

impl PartialEq for InboundPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for InboundPattern {}

impl InboundRoute {
    /// Returns whether the route is for this message.
    pub fn is_match(&self, provider: &ConfigName, message: &InboundMessage) -> bool {
        let has_provider = self.provider.as_ref().is_none_or(|name| name == provider);
        let has_receiver = self.to.is_empty() || self.to.contains(&normalize_sender(&message.to));
        let has_keyword = self.keywords.is_empty()
            || first_word(&message.body).is_some_and(|word| self.keywords.contains(&word));
        let has_pattern = self.pattern.as_ref().is_none_or(|pattern| pattern.0.is_match(&message.body));
        has_provider && has_receiver && has_keyword && has_pattern
    }
}
