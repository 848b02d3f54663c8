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
    callback_fields: &CallbackFields,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let uuid = callback_fields.get("ParentMessageUUID").or_else(|| callback_fields.get("MessageUUID"));
    let uuid =
        uuid.and_then(parse_reference).ok_or_else(|| CallbackError::malformed("MessageUUID is missing"))?;
    let received_at = request.received_at;
    let Some(plivo_status) = callback_fields.get("Status") else {
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: Some(uuid),
            from: sms::with_plus(callback_fields.require("From")?),
            to: callback_fields.get("To").unwrap_or_default().to_owned(),
            body: callback_fields.require("Text")?.to_owned(),
            at: received_at,
        })]);
    };
    let error_code = callback_fields.get("ErrorCode").unwrap_or_default();
    let code_line = receipt_code(error_code);
    let reason = join_reasons(&format!("{plivo_status} {error_code}"), code_line.description);
    let receipt_status = match plivo_status {
        // A delivered part decides the message only when it is the last part.
        "delivered" => is_last_part(callback_fields).then_some(ReceiptStatus::Delivered),
        "read" => Some(ReceiptStatus::Opened),
        "undelivered" | "failed" => Some(code_line.outcome.failed_receipt_status(reason)),
        "rejected" => Some(ReceiptStatus::Bounced { reason }),
        // queued, sent: the message is on its way.
        _ => None,
    };
    let mut callback_items = Vec::from_iter(sms::receipt_item(uuid, receipt_status, received_at));
    if error_code == OPT_OUT_CODE {
        let notice = |number| sms::opt_out_notice(number, &code_line, received_at);
        callback_items.extend(callback_fields.get("To").map(notice));
    }
    Ok(callback_items)
}

/// Returns whether `PartInfo`, which is `2 of 3`, names the last part. A message of one part may have no `PartInfo`.
fn is_last_part(fields: &CallbackFields) -> bool {
    let part_info = fields.get("PartInfo").unwrap_or_default();
    let (part, part_count) = part_info.split_once(" of ").unwrap_or_default();
    part.trim() == part_count.trim()
}
