//! Makes email addresses inactive that bounce repeatedly.
//!
//! Reads the newest messages of an address from the store; keeps nothing.

use crate::gateway::Gateway;
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::error::Result;
use postrider_core::message::Delivery;
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_store::{MatchedDelivery, MessageQuery};

/// Number of an address's newest messages that are examined for bounces.
const EXAMINED_MESSAGES_MAX: usize = 50;

/// Makes an email address inactive when its last `limits.soft_bounces_max` reports were bounces without a delivery
/// between them: such a mailbox is full or abandoned, and mail servers rate senders by their bounces.
pub(super) async fn deactivate_after_soft_bounces(
    gateway: &Gateway,
    bounced: &MatchedDelivery,
) -> Result<()> {
    let bounces_max = gateway.config.limits.soft_bounces_max;
    let address = parse_address(AddressKind::Email, &bounced.spelling, &gateway.config.phone);
    let Some(address) = address.ok().filter(|_| bounces_max > 0) else {
        return Ok(());
    };
    let query =
        MessageQuery { to: Some(address.clone()), limit: EXAMINED_MESSAGES_MAX, ..MessageQuery::default() };
    let messages = gateway.store.search(query).await?.messages;
    let deliveries = messages.iter().flat_map(|message| &message.deliveries);
    let is_same = |delivery: &&Delivery| delivery.channel == bounced.channel && delivery.address == address;
    let bounce_count = deliveries
        .filter(is_same)
        .take_while(|delivery| !matches!(delivery.state, DeliveryState::Delivered { .. }))
        .filter(|delivery| matches!(delivery.state, DeliveryState::Failed { failure: Failure::Bounced, .. }))
        .count();
    if bounce_count < bounces_max {
        return Ok(());
    }
    let known = gateway.store.recipient(&bounced.channel, &address).await?;
    if known.is_some_and(|recipient| recipient.status != RecipientStatus::Active) {
        return Ok(());
    }
    let recipient = Recipient {
        channel: bounced.channel.clone(),
        address,
        status: RecipientStatus::Inactive,
        reason: format!("{bounce_count} bounces without a delivery"),
        changed_by: bounced.provider.to_string(),
        changed_at: gateway.clock.now(),
    };
    gateway.store.set_recipient(recipient).await
}

#[cfg(test)]
mod tests;
