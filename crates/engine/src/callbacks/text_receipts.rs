//! Reads the sender of a text that reads like a receipt.
//!
//! Any phone can send such a text, and ids of messages can be guessed. The store applies it only to a message to its sender.

use crate::gateway::{Gateway, ProviderRuntime};
use crate::receipts::PhoneSender;
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::delivery::DeliveryState;
use postrider_core::{error::Result, inbound::TextReceipt};
use postrider_store::MessageQuery;

/// Number of the latest messages to a sender among which one that is in the middle of a call is looked for.
const MESSAGES_MAX: usize = 50;

/// Returns the sender of a receipt; none if its number cannot be read.
///
/// A receipt may arrive before its send is recorded. It is kept only while a delivery to the sender waits, so that a phone
/// to which nothing is sent cannot fill the store with receipts.
pub async fn find_sender(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    text_receipt: &TextReceipt,
) -> Result<Option<PhoneSender>> {
    // An international number may lack its `+`.
    let spellings = [text_receipt.from.clone(), format!("+{}", text_receipt.from)];
    let parse = |spelling: &String| parse_address(AddressKind::Phone, spelling, &gateway.config.phone).ok();
    let Some(address) = spellings.iter().find_map(parse) else {
        return Ok(None);
    };
    let query = MessageQuery { to: Some(address.clone()), limit: MESSAGES_MAX, ..MessageQuery::default() };
    let sent = gateway.store.search(query).await?;
    let mut deliveries = sent.messages.iter().flat_map(|message| &message.deliveries);
    let has_waiting_delivery = deliveries.any(|delivery| {
        let is_waiting = matches!(delivery.state, DeliveryState::Waiting { .. });
        let mut routes = gateway.routes_of_provider(&runtime.name);
        is_waiting && routes.any(|route| route.channel.name == delivery.channel)
    });
    Ok(Some(PhoneSender { address, has_waiting_delivery }))
}
