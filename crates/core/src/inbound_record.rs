//! Inbound messages as the store keeps them: the text with its provider, the message that it answers, and its route.
//!
//! The engine makes the record; the store adds nothing to it. The progress of forwarding it to a webhook, a URL or an
//! e-mail address is an event ([`crate::event`]) with the key that [`inbound_event_key`] returns.

use chrono::{DateTime, Utc};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::event::EventTarget;
use crate::id::{DeliveryId, MessageId};
use crate::inbound::OptChange;
use crate::name::ConfigName;
use crate::text_enum::text_enum;

/// The request that an inbound message makes with a keyword. When channels understand a text differently, the greatest counts.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum InboundAction {
    /// No keyword.
    #[default]
    None,
    /// An explanation.
    Help,
    /// Messages again.
    OptIn,
    /// No more messages.
    OptOut,
}

/// The kind of target that the route of an inbound message forwards it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum InboundTarget {
    /// A signed event `message.received`.
    Webhook,
    /// A GET request in the manner of Kannel, whose answer is the reply.
    GetUrl,
    /// A form in the manner of Twilio, whose answer is TwiML.
    TwilioUrl,
    /// A message to an e-mail address.
    Email,
    /// A `deliver_sm` to a session of the account. Records are read with
    /// `InboundStore::waiting_inbound`; they have no event.
    Smpp,
}

text_enum!(InboundAction, InboundTarget);

/// A stored inbound message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundRecord {
    /// The public id: a UUID of version 7, made from `received_at`.
    pub id: MessageId,
    /// The provider that delivered it.
    pub provider: ConfigName,
    /// The provider's id of the text, by which a repetition is recognised.
    pub reference: Option<String>,
    /// The channel over which a reply goes; none if the provider belongs to no channel.
    pub channel: Option<ConfigName>,
    /// The sender: the normalised address if it can be parsed, otherwise as the provider writes it.
    pub from: String,
    /// Our number or name, as the provider writes it.
    pub to: String,
    /// The text.
    pub body: String,
    /// True if the text lacks parts that did not arrive in time.
    pub is_incomplete: bool,
    /// The time that the provider states.
    pub sent_at: DateTime<Utc>,
    /// The time at which this gateway received it.
    pub received_at: DateTime<Utc>,
    /// The request that the text makes with a keyword.
    pub action: InboundAction,
    /// The last message to the sender over the provider's channels.
    pub in_reply_to: Option<MessageId>,
    /// The name of the API key that its route belongs to; empty for none.
    pub account: String,
    /// The name of its route.
    pub route: Option<String>,
    /// The target of the route; none if the message is only kept.
    pub target: Option<InboundTarget>,
    /// The time at which the target confirmed it.
    pub forwarded_at: Option<DateTime<Utc>>,
}

impl InboundRecord {
    /// Returns the state of the forwarding: `kept` without a target, `waiting`, or `forwarded`.
    pub fn state(&self) -> &'static str {
        match (self.target, self.forwarded_at) {
            (None, _) => "kept",
            (Some(_), None) => "waiting",
            (Some(_), Some(_)) => "forwarded",
        }
    }
}

/// An inbound message to store, with the changes that go into the same transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInbound {
    /// The message.
    pub record: InboundRecord,
    /// Opt-outs and opt-ins of the sender.
    pub changes: Vec<OptChange>,
    /// The target of the event `received`; none makes no event.
    pub event_target: Option<EventTarget>,
}

/// The result of storing an inbound message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredInbound {
    /// The id of the stored message: of the first one if the provider has repeated it.
    pub id: MessageId,
    /// False if the provider has repeated a message that is stored. Nothing was changed then.
    pub is_new: bool,
    /// True if the message changed the status of its sender, also when it was stored by an earlier call.
    pub has_changed_status: bool,
    /// For each change, whether it was applied now.
    pub is_applied: Vec<bool>,
}

/// Returns the number under which the event of an inbound message is stored. Events of deliveries have positive numbers,
/// these have negative ones.
///
/// It is made of the milliseconds in the id and of 14 random bits of it. Two messages of one millisecond with the same
/// bits have different sequence numbers there.
pub fn inbound_event_key(id: MessageId) -> DeliveryId {
    let [a, b, c, d, e, f, _, _, _, _, _, _, _, _, low, lowest] = id.bytes();
    let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let random = i64::from(u16::from_be_bytes([low, lowest]) & 0x3FFF);
    // 42 bits of milliseconds last until the year 2109. With 14 random bits and the 6 bits of the index of a delivery they
    // fit into 63 bits.
    let position = ((millis & 0x3FF_FFFF_FFFF) << 14) | random;
    DeliveryId(-(position.max(1) * DeliveryId::PER_MESSAGE))
}

#[cfg(test)]
mod tests;
