//! One delivery with its message as a row of the tables of the search and of the usage page.

use super::format;
use postrider_core::message::{Delivery, Message};

/// A delivery and its message as texts.
pub(super) struct MessageRow {
    /// Id of the message.
    pub(super) id: String,
    pub(super) created: String,
    pub(super) user: String,
    pub(super) channel: String,
    pub(super) to: String,
    pub(super) provider: String,
    pub(super) state: &'static str,
    pub(super) tries: u32,
    pub(super) body: String,
}

impl MessageRow {
    /// Returns the row; the address is masked if `mask` is set.
    pub(super) fn new(message: &Message, delivery: &Delivery, mask: bool) -> Self {
        Self {
            id: message.id.to_string(),
            created: format::time(message.created_at),
            user: format::or_dash(message.user.as_deref()),
            channel: delivery.channel.to_string(),
            to: format::address(&delivery.address, mask),
            provider: format::or_dash(delivery.provider.as_ref()),
            state: delivery.state.kind().as_str(),
            tries: delivery.tries,
            body: format::body_preview(&message.body),
        }
    }
}
