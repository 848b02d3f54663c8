//! The service's events about a mail, as receipts.
//!
//! An event that changes nothing gives none; one that this program does not know neither, because the service adds kinds.

use chrono::DateTime;
use serde_json::Value;

use crate::CallbackError;
use crate::settings_reader::{parse_reference, sanitize_text};
use postrider_core::clock::Timestamp;
use postrider_core::inbound::{CallbackItem, OptOutNotice};
use postrider_core::receipt::{Receipt, ReceiptStatus};

/// Reads one event out of a notification's text.
pub(super) fn parse_event(message: &str, heard_at: Timestamp) -> Result<Vec<CallbackItem>, CallbackError> {
    let unreadable = |what: &str| CallbackError::Malformed(what.to_owned());
    let event: Value = serde_json::from_str(message).map_err(|_| unreadable("the message is not JSON"))?;
    let kind = event["eventType"]
        .as_str()
        .or_else(|| event["notificationType"].as_str());
    // The topic tells its subscribers once that it is connected, in words of no fixed form.
    let Some(kind) = kind else {
        return Ok(Vec::new());
    };
    let Some((verdict, at)) = verdict(kind, &event) else {
        return Ok(Vec::new());
    };
    let id = event["mail"]["messageId"].as_str().and_then(parse_reference);
    let id = id.ok_or_else(|| unreadable("there is no mail.messageId"))?;
    let at = at.and_then(|at| DateTime::parse_from_rfc3339(at).ok());
    let at = at.map_or(heard_at, |at| at.to_utc().min(heard_at));
    let receipt = Receipt {
        reference: id,
        status: verdict,
        at,
    };
    let mut incoming = vec![receipt.into()];
    if kind == "Complaint" {
        incoming.extend(opt_outs_of_complaint(&event["complaint"], at));
    }
    Ok(incoming)
}

/// Who calls a mail spam wants no more of them.
fn opt_outs_of_complaint(complaint: &Value, at: Timestamp) -> Vec<CallbackItem> {
    if complaint["complaintFeedbackType"] == "not-spam" {
        return Vec::new();
    }
    let people = complaint["complainedRecipients"].as_array().into_iter().flatten();
    let addresses = people.filter_map(|person| person["emailAddress"].as_str());
    let opted_out = |address: &str| {
        let kind = text_field(&complaint["complaintFeedbackType"]);
        CallbackItem::OptedOut(OptOutNotice {
            address: address.to_owned(),
            reason: format!("complained of a mail: {kind}")
                .trim_end_matches([':', ' '])
                .to_owned(),
            at,
        })
    };
    addresses.map(opted_out).collect()
}

/// What an event says, and when it happened.
fn verdict<'e>(kind: &str, event: &'e Value) -> Option<(ReceiptStatus, Option<&'e str>)> {
    let at = |part: &str| event[part]["timestamp"].as_str();
    match kind {
        "Delivery" => Some((ReceiptStatus::Delivered, at("delivery"))),
        "Bounce" => Some((bounce_verdict(&event["bounce"]), at("bounce"))),
        // It was delivered, or nobody could complain.
        "Complaint" => Some((ReceiptStatus::Delivered, at("complaint"))),
        "Reject" => {
            let reason = format!(
                "refused after it was taken: {}",
                text_field(&event["reject"]["reason"])
            );
            Some((ReceiptStatus::Bounced { reason }, None))
        }
        "Rendering Failure" => {
            let reason = format!(
                "its template failed: {}",
                text_field(&event["failure"]["errorMessage"])
            );
            Some((ReceiptStatus::Bounced { reason }, None))
        }
        "Open" => Some((ReceiptStatus::Opened, at("open"))),
        "Click" => Some((ReceiptStatus::Opened, at("click"))),
        _ => None,
    }
}

/// Permanent bounces speak of the address; all others of this mail only.
fn bounce_verdict(bounce: &Value) -> ReceiptStatus {
    let kind = text_field(&bounce["bounceType"]);
    let first = &bounce["bouncedRecipients"][0];
    let details = [
        format!("{kind} {}", text_field(&bounce["bounceSubType"])),
        text_field(&first["status"]),
        text_field(&first["diagnosticCode"]),
    ];
    let details = details
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>();
    let reason = sanitize_text(&details.join(", "));
    if kind == "Permanent" {
        ReceiptStatus::Invalid { reason }
    } else {
        ReceiptStatus::Bounced { reason }
    }
}

fn text_field(value: &Value) -> String {
    sanitize_text(value.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests;
