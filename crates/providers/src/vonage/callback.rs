//! Parses Vonage's callbacks: delivery receipts and inbound messages.
//!
//! The caller has authenticated the callback.

use chrono::NaiveDateTime;

use postrider_core::clock::Timestamp;
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::ReceiptStatus;

use super::codes::{OPT_OUT_CODE, receipt_code};
use super::segments::VonageSegments;
use crate::callback::{CallbackError, CallbackRequest};
use crate::provider_text::{join_reasons, parse_reference};
use crate::sms::{self, CallbackFields};

/// Returns the items of a callback.
pub(super) fn parse_callback(
    request: &CallbackRequest,
    callback_fields: &CallbackFields,
    segments: &VonageSegments,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let segment_id = callback_fields.get("messageId").or_else(|| callback_fields.get("message-id"));
    let segment_id = segment_id.and_then(parse_reference);
    let segment_id = segment_id.ok_or_else(|| CallbackError::malformed("messageId is missing"))?;
    let reported_at = callback_fields.get("message-timestamp").and_then(parse_timestamp);
    let reported_at = reported_at.unwrap_or(request.received_at).min(request.received_at);
    let Some(vonage_status) = callback_fields.get("status") else {
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: Some(segment_id),
            from: sms::with_plus(callback_fields.require("msisdn")?),
            to: callback_fields.get("to").unwrap_or_default().to_owned(),
            body: callback_fields.require("text")?.to_owned(),
            at: reported_at,
        })]);
    };
    let error_code = callback_fields.get("err-code").unwrap_or_default();
    let code_line = receipt_code(error_code);
    let reason = join_reasons(&format!("{vonage_status} {error_code}"), code_line.description);
    let receipt_status = match vonage_status {
        "delivered" => Some(ReceiptStatus::Delivered),
        "expired" | "failed" | "rejected" => Some(code_line.outcome.failed_receipt_status(reason)),
        // accepted and buffered: the message is on its way; unknown: Vonage does not know.
        _ => None,
    };
    let mut callback_items = Vec::new();
    if let Some(receipt_status) = receipt_status
        && let Some(reference) = segments.message_of_segment(segment_id, &receipt_status)
    {
        callback_items.extend(sms::receipt_item(reference, Some(receipt_status), reported_at));
    }
    if error_code == OPT_OUT_CODE {
        let notice = |number| sms::opt_out_notice(number, &code_line, reported_at);
        callback_items.extend(callback_fields.get("msisdn").map(notice));
    }
    Ok(callback_items)
}

/// Parses Vonage's time format, which is in UTC.
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let time = NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%d %H:%M:%S");
    time.ok().map(|time| time.and_utc())
}
