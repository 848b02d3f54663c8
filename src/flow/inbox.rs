//! What a user has received, and the user's word that a message was read.
//!
//! Reading goes the way of receipts. What never arrived cannot be read.

use super::settle;
use crate::domain::delivery::{Standing, State};
use crate::domain::id::MessageId;
use crate::domain::message::{Delivery, Message};
use crate::error::Result;
use crate::gateway::Gateway;

/// Notes that the user has read the message, unless that is known or it never arrived; the message as it is then.
/// None when there is no such message to this user.
pub async fn read(gateway: &Gateway, user: &str, id: MessageId) -> Result<Option<Message>> {
    let Some(message) = find(gateway, user, id).await? else {
        return Ok(None);
    };
    let Some(delivery) = unread(&message) else {
        return Ok(Some(message));
    };
    settle::open(gateway, delivery.id).await?;
    find(gateway, user, id).await
}

async fn find(gateway: &Gateway, user: &str, id: MessageId) -> Result<Option<Message>> {
    let found = gateway.store.find(id).await?;
    Ok(found.filter(|message| message.user.as_deref() == Some(user)))
}

/// The delivery that was read: one that arrived, else one that a provider took. None when the message was read before,
/// or never arrived.
fn unread(message: &Message) -> Option<&Delivery> {
    if message
        .deliveries
        .iter()
        .any(|delivery| delivery.opened_at.is_some())
    {
        return None;
    }
    let mut deliveries = message.deliveries.iter();
    let arrived = deliveries.find(|delivery| matches!(delivery.state, State::Delivered { .. }));
    let mut deliveries = message.deliveries.iter();
    arrived.or_else(|| deliveries.find(|delivery| matches!(delivery.state, State::Sent { .. })))
}

/// Where a message stands for its user: the best of its deliveries.
pub fn standing(message: &Message) -> Standing {
    let stands = |wanted: &Standing| {
        let mut deliveries = message.deliveries.iter();
        deliveries.any(|delivery| delivery.state.standing() == *wanted)
    };
    let best_first = [Standing::Delivered, Standing::Sent, Standing::Waiting];
    best_first.into_iter().find(stands).unwrap_or(Standing::Failed)
}
