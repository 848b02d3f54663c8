//! Parses Twilio's callbacks: message statuses and inbound messages.
//!
//! The caller has authenticated the callback.

use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::ReceiptStatus;

use super::codes::{OPT_OUT_CODE, twilio_code};
use crate::callback::{CallbackError, CallbackRequest};
use crate::provider_text::{join_reasons, parse_reference};
use crate::sms::{self, CallbackFields};

/// Returns the items of a callback.
pub(super) fn parse_callback(
    request: &CallbackRequest,
    callback_fields: &CallbackFields,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let sid = callback_fields.get("MessageSid").or_else(|| callback_fields.get("SmsSid"));
    let sid = sid.ok_or_else(|| CallbackError::malformed("MessageSid is missing"))?;
    let sid = parse_reference(sid).ok_or_else(|| CallbackError::malformed("MessageSid is invalid"))?;
    let twilio_status = callback_fields
        .get("MessageStatus")
        .or_else(|| callback_fields.get("SmsStatus"))
        .unwrap_or("received");
    if twilio_status == "received" && callback_fields.get("From").is_some() {
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: Some(sid),
            from: callback_fields.require("From")?.to_owned(),
            to: callback_fields.get("To").unwrap_or_default().to_owned(),
            body: callback_fields.get("Body").unwrap_or_default().to_owned(),
            at: request.received_at,
            is_incomplete: false,
        })]);
    }
    let error_code = callback_fields.get("ErrorCode").unwrap_or_default();
    let code_line = twilio_code(error_code, None);
    let reason = join_reasons(&format!("{twilio_status} {error_code}"), code_line.description);
    let receipt_status = match twilio_status {
        "delivered" => Some(ReceiptStatus::Delivered),
        "read" => Some(ReceiptStatus::Opened),
        "undelivered" | "failed" => Some(code_line.outcome.failed_receipt_status(reason)),
        "canceled" => Some(ReceiptStatus::Bounced { reason }),
        // accepted, scheduled, queued, sending, sent, and statuses that Twilio may add: the message is on its way.
        _ => None,
    };
    let mut callback_items = Vec::from_iter(sms::receipt_item(sid, receipt_status, request.received_at));
    if error_code == OPT_OUT_CODE {
        let notice = |number| sms::opt_out_notice(number, &code_line, request.received_at);
        callback_items.extend(callback_fields.get("To").map(notice));
    }
    Ok(callback_items)
}
