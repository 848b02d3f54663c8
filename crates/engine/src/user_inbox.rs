//! What a user has received, and the user's word that a message was read.
//!
//! Reading goes the way of receipts. What never arrived cannot be read.

use super::receipts;
use crate::gateway::Gateway;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind};
use postrider_core::error::Result;
use postrider_core::id::MessageId;
use postrider_core::message::{Delivery, Message};

/// Notes that the user has read the message, unless that is known or it never arrived; the message as it is then.
/// None when there is no such message to this user.
pub async fn mark_read(gateway: &Gateway, user: &str, id: MessageId) -> Result<Option<Message>> {
    let Some(message) = find_for_user(gateway, user, id).await? else {
        return Ok(None);
    };
    let Some(delivery) = unread_delivery(&message) else {
        return Ok(Some(message));
    };
    receipts::mark_opened(gateway, delivery.id).await?;
    find_for_user(gateway, user, id).await
}

async fn find_for_user(gateway: &Gateway, user: &str, id: MessageId) -> Result<Option<Message>> {
    let found = gateway.store.find_message(id).await?;
    Ok(found.filter(|message| message.user.as_deref() == Some(user)))
}

/// The delivery that was read: one that arrived, else one that a provider took. None when the message was read before,
/// or never arrived.
fn unread_delivery(message: &Message) -> Option<&Delivery> {
    if message
        .deliveries
        .iter()
        .any(|delivery| delivery.opened_at.is_some())
    {
        return None;
    }
    let mut deliveries = message.deliveries.iter();
    let arrived = deliveries.find(|delivery| matches!(delivery.state, DeliveryState::Delivered { .. }));
    let mut deliveries = message.deliveries.iter();
    arrived.or_else(|| deliveries.find(|delivery| matches!(delivery.state, DeliveryState::Sent { .. })))
}

/// Where a message stands for its user: the best of its deliveries.
pub fn message_state(message: &Message) -> DeliveryStateKind {
    let stands = |wanted: &DeliveryStateKind| {
        let mut deliveries = message.deliveries.iter();
        deliveries.any(|delivery| delivery.state.kind() == *wanted)
    };
    let best_first = [
        DeliveryStateKind::Delivered,
        DeliveryStateKind::Sent,
        DeliveryStateKind::Waiting,
    ];
    best_first
        .into_iter()
        .find(stands)
        .unwrap_or(DeliveryStateKind::Failed)
}
