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
    fields: &CallbackFields,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let status = fields.get("status").unwrap_or(RECEIVED_STATUS);
    let message_id = fields.get("messageid").and_then(parse_reference);
    if status == RECEIVED_STATUS {
        let from = fields.get("from").or_else(|| fields.get("sender"));
        let to = fields.get("to").or_else(|| fields.get("receptor"));
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: message_id,
            from: from.ok_or_else(|| CallbackError::malformed("status and from are missing"))?.to_owned(),
            to: to.unwrap_or_default().to_owned(),
            body: fields.require("message")?.to_owned(),
            at: request.received_at,
            is_incomplete: false,
        })]);
    }
    if !status.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CallbackError::malformed("status is not a number"));
    }
    let reference = message_id.ok_or_else(|| CallbackError::malformed("messageid is missing"))?;
    let code_line = message_code(status);
    let receipt_status = match (status, code_line.outcome) {
        (DELIVERED_STATUS, _) => Some(ReceiptStatus::Delivered),
        (_, OutcomeKind::Accepted) => None,
        (_, outcome) => {
            let reason = join_reasons(&format!("status {status}"), code_line.description);
            Some(outcome.failed_receipt_status(reason))
        }
    };
    Ok(Vec::from_iter(sms::receipt_item(reference, receipt_status, request.received_at)))
}
