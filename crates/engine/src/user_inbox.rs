//! Inbox of a registered user: marks messages as read and summarises their state.
//!
//! Reading a message is recorded as a receipt. A message that was not sent cannot be marked as read.

use crate::{gateway::Gateway, receipts};
use postrider_core::message::{Delivery, Message};
use postrider_core::{delivery::DeliveryStateKind, error::Result, id::MessageId};

/// Records that the user of an owner has read the message and returns the message. Changes nothing if the message was read
/// before or was not sent. Returns `None` if the user has no such message.
pub async fn mark_read(gateway: &Gateway, user: &str, owner: &str, id: MessageId) -> Result<Option<Message>> {
    let Some(message) = find_for_user(gateway, user, owner, id).await? else {
        return Ok(None);
    };
    let Some(delivery) = unread_delivery(&message) else {
        return Ok(Some(message));
    };
    receipts::mark_opened(gateway, delivery.id).await?;
    find_for_user(gateway, user, owner, id).await
}

async fn find_for_user(gateway: &Gateway, user: &str, owner: &str, id: MessageId) -> Result<Option<Message>> {
    let message = gateway.store.find_message(id).await?;
    Ok(message.filter(|message| message.user.as_deref() == Some(user) && message.owner == owner))
}

/// Returns the delivery to mark as read: a delivered delivery, otherwise a sent delivery. Returns `None` if the message
/// was read before or was not sent.
fn unread_delivery(message: &Message) -> Option<&Delivery> {
    if message.deliveries.iter().any(|delivery| delivery.opened_at.is_some()) {
        return None;
    }
    let delivery_in = |kind| message.deliveries.iter().find(|delivery| delivery.state.kind() == kind);
    delivery_in(DeliveryStateKind::Delivered).or_else(|| delivery_in(DeliveryStateKind::Sent))
}

/// Returns the state of a message for its user: the most advanced state among its deliveries.
pub fn message_state(message: &Message) -> DeliveryStateKind {
    let has_state = |wanted: &DeliveryStateKind| {
        message.deliveries.iter().any(|delivery| delivery.state.kind() == *wanted)
    };
    let best_first = [DeliveryStateKind::Delivered, DeliveryStateKind::Sent, DeliveryStateKind::Waiting];
    best_first.into_iter().find(has_state).unwrap_or(DeliveryStateKind::Failed)
}
