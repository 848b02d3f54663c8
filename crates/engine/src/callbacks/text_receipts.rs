//! Decides whether a text that has the form of a receipt comes from the recipient of the message that it names.
//!
//! Any phone can send such a text, and message ids can be guessed. Only a text from the recipient is applied as a
//! receipt.

use crate::gateway::{Gateway, ProviderRuntime};
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::{error::Result, inbound::TextReceipt};
use postrider_store::MessageQuery;

/// Number of the latest messages to the sender that are searched for the reference of the receipt.
const MESSAGES_MAX: usize = 50;

/// Returns whether the provider accepted a message with the receipt's reference for the sender of the text.
pub async fn is_from_recipient(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    text_receipt: &TextReceipt,
) -> Result<bool> {
    // Some SMSCs write an international number without its `+`.
    let spellings = [text_receipt.from.clone(), format!("+{}", text_receipt.from)];
    let parse = |spelling: &String| parse_address(AddressKind::Phone, spelling, &gateway.config.phone).ok();
    let Some(sender) = spellings.iter().find_map(parse) else {
        return Ok(false);
    };
    let query = MessageQuery { to: Some(sender.clone()), limit: MESSAGES_MAX, ..MessageQuery::default() };
    let sent = gateway.store.search(query).await?;
    let mut deliveries = sent.messages.iter().flat_map(|message| &message.deliveries);
    Ok(deliveries.any(|delivery| {
        delivery.address == sender
            && delivery.provider.as_ref() == Some(&runtime.name)
            && delivery.reference.as_deref() == Some(text_receipt.receipt.reference.as_str())
    }))
}
