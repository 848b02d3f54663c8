//! Parses Kavenegar's callbacks: message statuses and inbound messages.
//!
//! The caller has authenticated the callback.

use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::ReceiptStatus;

use super::codes::{DELIVERED_STATUS, RECEIVED_STATUS, message_code};
use crate::callback::{CallbackError, CallbackRequest};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::{join_reasons, parse_reference};
use crate::sms::{self, CallbackFields};

/// Returns the items of a callback.
pub(super) fn parse_callback(
    request: &CallbackRequest,
    callback_fields: &CallbackFields,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let kavenegar_status = callback_fields.get("status").unwrap_or(RECEIVED_STATUS);
    let message_id = callback_fields.get("messageid").and_then(parse_reference);
    if kavenegar_status == RECEIVED_STATUS {
        let from = callback_fields.get("from").or_else(|| callback_fields.get("sender"));
        let to = callback_fields.get("to").or_else(|| callback_fields.get("receptor"));
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: message_id,
            from: from.ok_or_else(|| CallbackError::malformed("status and from are missing"))?.to_owned(),
            to: to.unwrap_or_default().to_owned(),
            body: callback_fields.require("message")?.to_owned(),
            at: request.received_at,
            is_incomplete: false,
        })]);
    }
    if !kavenegar_status.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CallbackError::malformed("status is not a number"));
    }
    let reference = message_id.ok_or_else(|| CallbackError::malformed("messageid is missing"))?;
    let code_line = message_code(kavenegar_status);
    let receipt_status = match (kavenegar_status, code_line.outcome) {
        (DELIVERED_STATUS, _) => Some(ReceiptStatus::Delivered),
        (_, OutcomeKind::Accepted) => None,
        (_, outcome) => {
            let reason = join_reasons(&format!("status {kavenegar_status}"), code_line.description);
            Some(outcome.failed_receipt_status(reason))
        }
    };
    Ok(Vec::from_iter(sms::receipt_item(reference, receipt_status, request.received_at)))
}
