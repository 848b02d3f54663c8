//! An inbound message on its way to the target of its route, and the replies in the answer.

use postrider_core::event::Event;
use postrider_core::inbound_record::InboundRecord;

use crate::config::InboundRoute;

/// An inbound message with its route and its event.
pub struct RoutedMessage<'a> {
    /// The route.
    pub route: &'a InboundRoute,
    /// The message.
    pub record: &'a InboundRecord,
    /// The event.
    pub event: &'a Event,
}

/// A reply in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The recipient; none means the sender of the inbound message.
    pub to: Option<String>,
    /// The text.
    pub body: String,
}
