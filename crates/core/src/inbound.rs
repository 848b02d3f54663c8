//! What a provider brings us: its later word about what it accepted, and texts that people write to us.
//!
//! Only an adapter makes one. Of a text only the words that stop and start a sender matter; nothing here keeps what
//! people write.

use chrono::{DateTime, Utc};

use crate::name::ConfigName;
use crate::receipt::Receipt;

/// One thing a provider tells us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackItem {
    /// What became of something it accepted.
    Receipt(Receipt),
    /// A person wrote to one of our numbers.
    InboundMessage(InboundMessage),
    /// The provider itself knows that a person wants nothing from us.
    OptedOut(OptOutNotice),
}

impl From<Receipt> for CallbackItem {
    fn from(receipt: Receipt) -> Self {
        Self::Receipt(receipt)
    }
}

/// A text that a person sent to one of our numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMessage {
    /// The provider's id of the text, if it gave one: a repetition is known by it.
    pub reference: Option<String>,
    /// Who wrote. Digits of a full international number need a `+` in front; other spellings are read by the rules of
    /// the configured region.
    pub from: String,
    /// Our number or name, as the provider writes it.
    pub to: String,
    /// What the person wrote.
    pub body: String,
    /// When the provider says that it came; else when we heard of it.
    pub at: DateTime<Utc>,
}

/// What a provider says in passing: that it does not write to this person for us any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptOutNotice {
    /// Who; written like [`InboundText::from`].
    pub address: String,
    /// In words for the operator.
    pub reason: String,
    /// When we heard of it.
    pub at: DateTime<Utc>,
}

/// What a person wants of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptAction {
    /// No more messages.
    OptOut,
    /// Messages again.
    OptIn,
}

/// The words that stop a sender, and those that start it again, as the field has them.
const OPT_OUT_KEYWORDS: [&str; 6] = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"];
const OPT_IN_KEYWORDS: [&str; 3] = ["START", "YES", "UNSTOP"];

impl InboundMessage {
    /// What the person wants, when the whole text is one of the words for it. A sentence that has one in it wants
    /// nothing.
    pub fn opt_action(&self) -> Option<OptAction> {
        let is = |word: &&str| self.body.trim().eq_ignore_ascii_case(word);
        if OPT_OUT_KEYWORDS.iter().any(&is) {
            Some(OptAction::OptOut)
        } else {
            OPT_IN_KEYWORDS.iter().any(is).then_some(OptAction::OptIn)
        }
    }
}

/// A person's wish about one address, ready to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptChange {
    /// On which channel.
    pub channel: ConfigName,
    /// The normalised address.
    pub address: String,
    /// What the person wants.
    pub action: OptAction,
    /// In words for the operator.
    pub reason: String,
    /// Which provider brought it.
    pub provider: ConfigName,
    /// The provider's id of the text, by which a repetition is known.
    pub reference: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

#[cfg(test)]
mod tests;
