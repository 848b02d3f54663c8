//! Parses Plivo's callbacks: message statuses and inbound messages.
//!
//! The caller has authenticated the callback.

use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::ReceiptStatus;

use super::codes::{OPT_OUT_CODE, receipt_code};
use crate::callback::{CallbackError, CallbackRequest};
use crate::provider_text::{join_reasons, parse_reference};
use crate::sms::{self, CallbackFields};

/// Returns the items of a callback.
pub(super) fn parse_callback(
    request: &CallbackRequest,
    fields: &CallbackFields,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let uuid = fields.get("ParentMessageUUID").or_else(|| fields.get("MessageUUID"));
    let uuid =
        uuid.and_then(parse_reference).ok_or_else(|| CallbackError::malformed("MessageUUID is missing"))?;
    let at = request.received_at;
    let Some(status) = fields.get("Status") else {
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: Some(uuid),
            from: sms::with_plus(fields.require("From")?),
            to: fields.get("To").unwrap_or_default().to_owned(),
            // A message with media only has no text.
            body: fields.get("Text").unwrap_or_default().to_owned(),
            at,
            is_incomplete: false,
        })]);
    };
    let error_code = fields.get("ErrorCode").unwrap_or_default();
    let code_line = receipt_code(error_code);
    let reason = join_reasons(&format!("{status} {error_code}"), code_line.description);
    let receipt_status = match status {
        // The delivery of a part decides about the message only if it is the last part.
        "delivered" => is_last_part(fields).then_some(ReceiptStatus::Delivered),
        "read" => Some(ReceiptStatus::Opened),
        "undelivered" | "failed" => Some(code_line.outcome.failed_receipt_status(reason)),
        "rejected" => Some(ReceiptStatus::Bounced { reason }),
        // queued, sent: the message is on its way.
        _ => None,
    };
    let mut items = Vec::from_iter(sms::receipt_item(uuid, receipt_status, at));
    if error_code == OPT_OUT_CODE {
        let notice = |number| sms::opt_out_notice(number, &code_line, at);
        items.extend(fields.get("To").map(notice));
    }
    Ok(items)
}

/// Returns whether `PartInfo`, which is `2 of 3`, names the last part. A message of one part may have no `PartInfo`.
fn is_last_part(fields: &CallbackFields) -> bool {
    let part_info = fields.get("PartInfo").unwrap_or_default();
    let (part, part_count) = part_info.split_once(" of ").unwrap_or_default();
    part.trim() == part_count.trim()
}
