//! Parses SES events into receipts and opt-outs.
//!
//! An event that changes nothing, or of an unknown type, yields nothing: AWS adds types.

use chrono::DateTime;
use serde_json::Value;

use crate::CallbackError;
use crate::provider_text::{parse_reference, sanitize_text};
use postrider_core::clock::Timestamp;
use postrider_core::inbound::{CallbackItem, OptOutNotice};
use postrider_core::receipt::{Receipt, ReceiptStatus};

/// Parses the event in the text of a notification that was received at `received_at`.
pub(super) fn parse_event(message: &str, received_at: Timestamp) -> Result<Vec<CallbackItem>, CallbackError> {
    let malformed = |reason: &str| CallbackError::Malformed(reason.to_owned());
    let event: Value = serde_json::from_str(message).map_err(|_| malformed("the message is not JSON"))?;
    let kind = event["eventType"].as_str().or_else(|| event["notificationType"].as_str());
    // A topic sends one notification of another form when it is connected.
    let Some(kind) = kind else {
        return Ok(Vec::new());
    };
    let Some((status, at)) = receipt_status(kind, &event) else {
        return Ok(Vec::new());
    };
    let id = event["mail"]["messageId"].as_str().and_then(parse_reference);
    let id = id.ok_or_else(|| malformed("mail.messageId is missing"))?;
    let at = at.and_then(|at| DateTime::parse_from_rfc3339(at).ok());
    let at = at.map_or(received_at, |at| at.to_utc().min(received_at));
    let receipt = Receipt { reference: id, status, at };
    let mut items = vec![receipt.into()];
    if kind == "Complaint" {
        items.extend(opt_outs_of_complaint(&event["complaint"], at));
    }
    Ok(items)
}

/// Returns an opt-out for each recipient that reported the mail as spam.
fn opt_outs_of_complaint(complaint: &Value, at: Timestamp) -> Vec<CallbackItem> {
    if complaint["complaintFeedbackType"] == "not-spam" {
        return Vec::new();
    }
    let recipients = complaint["complainedRecipients"].as_array().into_iter().flatten();
    let addresses = recipients.filter_map(|recipient| recipient["emailAddress"].as_str());
    let opted_out = |address: &str| {
        let kind = text_field(&complaint["complaintFeedbackType"]);
        CallbackItem::OptedOut(OptOutNotice {
            address: address.to_owned(),
            reason: format!("spam complaint: {kind}").trim_end_matches([':', ' ']).to_owned(),
            at,
        })
    };
    addresses.map(opted_out).collect()
}

/// Returns the status that an event reports, and its time.
fn receipt_status<'e>(kind: &str, event: &'e Value) -> Option<(ReceiptStatus, Option<&'e str>)> {
    let at = |object: &str| event[object]["timestamp"].as_str();
    match kind {
        "Delivery" => Some((ReceiptStatus::Delivered, at("delivery"))),
        "Bounce" => Some((bounce_status(&event["bounce"]), at("bounce"))),
        // A recipient can only report a mail that was delivered.
        "Complaint" => Some((ReceiptStatus::Delivered, at("complaint"))),
        "Reject" => {
            let reason = format!("rejected after acceptance: {}", text_field(&event["reject"]["reason"]));
            Some((ReceiptStatus::Bounced { reason }, None))
        }
        "Rendering Failure" => {
            let reason =
                format!("template rendering failed: {}", text_field(&event["failure"]["errorMessage"]));
            Some((ReceiptStatus::Bounced { reason }, None))
        }
        "Open" => Some((ReceiptStatus::Opened, at("open"))),
        "Click" => Some((ReceiptStatus::Opened, at("click"))),
        _ => None,
    }
}

/// Maps a bounce: a permanent one concerns the address, any other only this mail.
fn bounce_status(bounce: &Value) -> ReceiptStatus {
    let kind = text_field(&bounce["bounceType"]);
    let recipient = &bounce["bouncedRecipients"][0];
    let details = [
        format!("{kind} {}", text_field(&bounce["bounceSubType"])),
        text_field(&recipient["status"]),
        text_field(&recipient["diagnosticCode"]),
    ];
    let details = details.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let reason = sanitize_text(&details.join(", "));
    if kind == "Permanent" { ReceiptStatus::Invalid { reason } } else { ReceiptStatus::Bounced { reason } }
}

fn text_field(value: &Value) -> String {
    sanitize_text(value.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests;
