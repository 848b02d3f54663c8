//! Parses Vonage's callbacks: delivery receipts and inbound messages.
//!
//! The caller has authenticated the callback.

use chrono::NaiveDateTime;

use postrider_core::clock::Timestamp;
use postrider_core::inbound::{CallbackItem, InboundMessage, UnreadableKind};
use postrider_core::receipt::ReceiptStatus;

use super::codes::{OPT_OUT_CODE, receipt_code};
use super::segments::VonageSegments;
use crate::callback::{CallbackError, CallbackRequest};
use crate::provider_text::{join_reasons, parse_reference};
use crate::sms::{self, CallbackFields};

/// Returns the items of a callback.
pub(super) fn parse_callback(
    request: &CallbackRequest,
    fields: &CallbackFields,
    segments: &VonageSegments,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let segment_id = fields.get("messageId").or_else(|| fields.get("message-id"));
    let segment_id = segment_id.and_then(parse_reference);
    let segment_id = segment_id.ok_or_else(|| CallbackError::malformed("messageId is missing"))?;
    let at = fields.get("message-timestamp").and_then(parse_timestamp);
    let at = at.unwrap_or(request.received_at).min(request.received_at);
    let Some(status) = fields.get("status") else {
        let Some(body) = fields.get("text") else {
            // A binary message has `data` and `udh` instead.
            fields.require("msisdn")?;
            return Ok(vec![CallbackItem::Unreadable(UnreadableKind::InboundMessage)]);
        };
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: Some(segment_id),
            from: sms::with_plus(fields.require("msisdn")?),
            to: fields.get("to").unwrap_or_default().to_owned(),
            body: body.to_owned(),
            at,
            is_incomplete: false,
        })]);
    };
    let error_code = fields.get("err-code").unwrap_or_default();
    let code_line = receipt_code(error_code);
    let reason = join_reasons(&format!("{status} {error_code}"), code_line.description);
    let receipt_status = match status {
        "delivered" => Some(ReceiptStatus::Delivered),
        "expired" | "failed" | "rejected" => Some(code_line.outcome.failed_receipt_status(reason)),
        // accepted and buffered: the message is on its way; unknown: Vonage does not know.
        _ => None,
    };
    let mut items = Vec::new();
    if let Some(receipt_status) = receipt_status
        && let Some(reference) = segments.message_of_segment(segment_id, &receipt_status)
    {
        items.extend(sms::receipt_item(reference, Some(receipt_status), at));
    }
    if error_code == OPT_OUT_CODE {
        let notice = |number| sms::opt_out_notice(number, &code_line, at);
        items.extend(fields.get("msisdn").map(notice));
    }
    Ok(items)
}

/// Parses Vonage's time format, which is in UTC.
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let time = NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%d %H:%M:%S");
    time.ok().map(|time| time.and_utc())
}
