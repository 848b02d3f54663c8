//! Rows of inbound messages.

use super::SqlRow;
use postrider_core::id::MessageId;
use postrider_core::inbound_record::{InboundAction, InboundRecord, InboundTarget};

/// Decodes a row of `inbound_messages`.
pub fn decode_inbound<R: SqlRow>(row: &R) -> Result<InboundRecord, R::Error> {
    let in_reply_to = match row.optional_bytes("in_reply_to")? {
        None => None,
        Some(_) => Some(row.message_id("in_reply_to")?),
    };
    Ok(InboundRecord {
        id: row.message_id("id")?,
        provider: row.name("provider")?,
        reference: row.optional_text("reference")?,
        channel: row.optional_name("channel")?,
        from: row.text("sender")?,
        to: row.text("receiver")?,
        body: row.text("body")?,
        is_incomplete: row.bool("is_incomplete")?,
        sent_at: row.time("sent_at")?,
        received_at: row.time("received_at")?,
        action: row.parsed("action", InboundAction::parse)?,
        in_reply_to,
        account: row.text("account")?,
        route: row.optional_text("route")?,
        target: row.optional_parsed("target", InboundTarget::parse)?,
        forwarded_at: row.optional_time("forwarded_at")?,
    })
}

/// Decodes the id of a stored message and whether it changed the status of its sender.
pub fn decode_repeated_inbound<R: SqlRow>(row: &R) -> Result<(MessageId, bool), R::Error> {
    Ok((row.message_id("id")?, row.bool("has_changed_status")?))
}
