//! Parses SNS notifications with SES events into receipts and opt-outs.
//!
//! The signature of the notification is verified. An event that changes nothing has no items. An event of an unknown
//! type has none either, because AWS adds types.

use chrono::DateTime;
use serde_json::Value;

use postrider_core::clock::Timestamp;
use postrider_core::inbound::{CallbackItem, OptOutNotice};
use postrider_core::receipt::{Receipt, ReceiptStatus};

use super::sns_signature::{SUBSCRIPTION_CONFIRMATION, SnsMessage};
use crate::callback::CallbackError;
use crate::mail_status::{MailVerdict, mail_verdict};
use crate::provider_text::{parse_reference, sanitize_text};

/// Returns the items of a notification that was received at `received_at`.
pub(super) fn parse_callback(
    notification: &SnsMessage,
    received_at: Timestamp,
) -> Result<Vec<CallbackItem>, CallbackError> {
    match notification.kind.as_str() {
        "Notification" => parse_event(&notification.message, received_at),
        SUBSCRIPTION_CONFIRMATION => Ok(Vec::new()),
        "UnsubscribeConfirmation" => {
            log::warn!("ses: SNS subscription removed, no receipts will arrive through it");
            Ok(Vec::new())
        }
        _ => Err(CallbackError::malformed("unknown type of SNS message")),
    }
}

/// Returns the items of the event in the text of a notification.
fn parse_event(message: &str, received_at: Timestamp) -> Result<Vec<CallbackItem>, CallbackError> {
    let event: Value =
        serde_json::from_str(message).map_err(|_| CallbackError::malformed("the message is not JSON"))?;
    let event_type = event["eventType"].as_str().or_else(|| event["notificationType"].as_str());
    // When a topic is connected, it sends one notification of a different form, without a type.
    let Some((status, event_time)) = event_type.and_then(|event_type| receipt_status(event_type, &event))
    else {
        return Ok(Vec::new());
    };
    let reference = event["mail"]["messageId"].as_str().and_then(parse_reference);
    let reference = reference.ok_or_else(|| CallbackError::malformed("mail.messageId is missing"))?;
    let event_time = event_time.and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let event_at = event_time.map_or(received_at, |time| time.to_utc().min(received_at));
    let mut callback_items = vec![Receipt { reference, status, at: event_at }.into()];
    if event_type == Some("Complaint") {
        callback_items.extend(opt_outs_of_complaint(&event["complaint"], event_at));
    }
    Ok(callback_items)
}

/// Returns an opt-out for each recipient that reported the mail as spam.
fn opt_outs_of_complaint(complaint: &Value, at: Timestamp) -> Vec<CallbackItem> {
    let feedback_type = text_field(&complaint["complaintFeedbackType"]);
    if feedback_type == "not-spam" {
        return Vec::new();
    }
    let recipients = complaint["complainedRecipients"].as_array().into_iter().flatten();
    let addresses = recipients.filter_map(|recipient| recipient["emailAddress"].as_str());
    let opted_out = |address: &str| {
        CallbackItem::OptedOut(OptOutNotice {
            address: address.to_owned(),
            reason: format!("spam complaint: {feedback_type}").trim_end_matches([':', ' ']).to_owned(),
            at,
        })
    };
    addresses.map(opted_out).collect()
}

/// Returns the status that an event reports, and its time.
fn receipt_status<'e>(event_type: &str, event: &'e Value) -> Option<(ReceiptStatus, Option<&'e str>)> {
    let time = |object: &str| event[object]["timestamp"].as_str();
    let bounced = |reason: String| (ReceiptStatus::Bounced { reason }, None);
    match event_type {
        "Delivery" => Some((ReceiptStatus::Delivered, time("delivery"))),
        "Bounce" => Some((bounce_status(&event["bounce"])?, time("bounce"))),
        // Only a delivered mail can be reported as spam.
        "Complaint" => Some((ReceiptStatus::Delivered, time("complaint"))),
        "Reject" => {
            let reason = text_field(&event["reject"]["reason"]);
            Some(bounced(format!("rejected after acceptance: {reason}")))
        }
        "Rendering Failure" => {
            let reason = text_field(&event["failure"]["errorMessage"]);
            Some(bounced(format!("template rendering failed: {reason}")))
        }
        "Open" => Some((ReceiptStatus::Opened, time("open"))),
        "Click" => Some((ReceiptStatus::Opened, time("click"))),
        _ => None,
    }
}

/// Subtypes of a permanent bounce that concern the address, regardless of the words of the mail server.
const DEAD_ADDRESS_SUBTYPES: [&str; 4] =
    ["NoEmail", "Suppressed", "OnAccountSuppressionList", "OnTenantSuppressionList"];

/// Returns the status of a bounce. A permanent bounce makes the address invalid only if its code or words concern the
/// mailbox. An automatic reply, such as an out-of-office notice, is not a bounce.
fn bounce_status(bounce: &Value) -> Option<ReceiptStatus> {
    let (bounce_type, subtype) = (text_field(&bounce["bounceType"]), text_field(&bounce["bounceSubType"]));
    let recipient = &bounce["bouncedRecipients"][0];
    let (code, diagnostic) = (text_field(&recipient["status"]), text_field(&recipient["diagnosticCode"]));
    if bounce_type == "Transient" && is_automatic_reply(&subtype, &code, &diagnostic, recipient) {
        return None;
    }
    let mut details = vec![format!("{bounce_type} {subtype}"), code.clone(), diagnostic.clone()];
    details.retain(|detail| !detail.trim().is_empty());
    let reason = sanitize_text(&details.join(", "));
    let is_dead = bounce_type == "Permanent"
        && (DEAD_ADDRESS_SUBTYPES.contains(&subtype.as_str()) || is_about_mailbox(&code, &diagnostic));
    Some(if is_dead { ReceiptStatus::Invalid { reason } } else { ReceiptStatus::Bounced { reason } })
}

/// SES reports automatic replies as general transient bounces. A real failure names a status or a failed recipient.
fn is_automatic_reply(subtype: &str, code: &str, diagnostic: &str, recipient: &Value) -> bool {
    matches!(subtype, "General" | "")
        && (code.is_empty() || code.starts_with('2'))
        && diagnostic.is_empty()
        && recipient["action"] != "failed"
}

/// Returns whether a permanent bounce concerns the mailbox. A bounce without code and words is a decision of SES itself
/// and concerns the mailbox.
fn is_about_mailbox(code: &str, diagnostic: &str) -> bool {
    if code.is_empty() && diagnostic.is_empty() {
        return true;
    }
    let code = Some(code).filter(|code| !code.is_empty());
    mail_verdict(code, true, diagnostic) == Some(MailVerdict::InvalidRecipient)
}

fn text_field(json: &Value) -> String {
    sanitize_text(json.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests;
