//! Items of provider callbacks: receipts, inbound messages and opt-outs.
//!
//! Adapters create these values from callbacks. An inbound message is searched for keywords ([`crate::keywords`]) and
//! stored ([`crate::inbound_record`]).

use chrono::{DateTime, Utc};

use crate::id::DeliveryId;
use crate::name::ConfigName;
use crate::receipt::Receipt;

/// One item of a provider callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackItem {
    /// The result of an accepted message.
    Receipt(Receipt),
    /// A person sent a text to one of our numbers.
    InboundMessage(InboundMessage),
    /// The provider reports that a person has opted out.
    OptedOut(OptOutNotice),
    /// The provider reports that it has accepted a message, after the call had ended without an answer.
    LateAcceptance(LateAcceptance),
    /// A text from a phone that has the form of a receipt. Any phone can send such a text, so it is not trusted by
    /// itself.
    TextReceipt(TextReceipt),
    /// The provider sent something that could not be read.
    Unreadable(UnreadableKind),
    /// The provider accepted our account on a new connection.
    AccountAccepted,
}

/// An answer "accepted" that arrived after its call had ended with the outcome `unknown`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateAcceptance {
    /// The delivery that the call was made for.
    pub delivery: DeliveryId,
    /// The round of that call.
    pub round: u32,
    /// The provider's id of the message, as in [`Outcome::Accepted`](crate::attempt::Outcome::Accepted).
    pub reference: Option<String>,
    /// The time of the answer.
    pub at: DateTime<Utc>,
}

/// A text that has the form of a receipt. It is applied only if its sender is the recipient of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// The sender, written like [`InboundMessage::from`].
    pub from: String,
}

/// The kind of an unreadable item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadableKind {
    /// A receipt without an id or without a state.
    Receipt,
    /// An inbound message that is binary, or of which a part is missing.
    InboundMessage,
}

impl From<Receipt> for CallbackItem {
    fn from(receipt: Receipt) -> Self {
        Self::Receipt(receipt)
    }
}

/// A text that a person sent to one of our numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMessage {
    /// The provider's id of the text. A text that arrives again has the same id.
    pub reference: Option<String>,
    /// The sender. A full international number begins with `+`; other spellings are parsed by the rules of the
    /// configured region.
    pub from: String,
    /// Our number or name, as the provider writes it.
    pub to: String,
    /// The text.
    pub body: String,
    /// The time that the provider states; otherwise the time of the callback.
    pub at: DateTime<Utc>,
    /// True if the text lacks parts that did not arrive in time.
    pub is_incomplete: bool,
}

/// A provider's report that a person has opted out: the provider no longer sends our messages to that person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptOutNotice {
    /// The address, written like [`InboundMessage::from`].
    pub address: String,
    /// The reason, for operators.
    pub reason: String,
    /// The time of the report.
    pub at: DateTime<Utc>,
}

/// A person's choice about messages from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptAction {
    /// The person wants no more messages.
    OptOut,
    /// The person wants messages again.
    OptIn,
}

/// An opt-out or opt-in of one address, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptChange {
    /// The channel.
    pub channel: ConfigName,
    /// The normalised address.
    pub address: String,
    /// The action.
    pub action: OptAction,
    /// The reason, for operators.
    pub reason: String,
    /// The provider that reported it.
    pub provider: ConfigName,
    /// The provider's id of the text, by which a repetition is recognised.
    pub reference: Option<String>,
    /// The time of the report.
    pub at: DateTime<Utc>,
}
