//! Tests of event parsing.

use super::*;
use postrider_core::clock::from_millis;

fn parsed_receipt(event: &str) -> Result<Option<Receipt>, CallbackError> {
    let received_at = from_millis(1_800_000_000_000);
    let item = parse_event(event, received_at)?.into_iter().next();
    Ok(item.map(|item| match item {
        CallbackItem::Receipt(receipt) => receipt,
        other => panic!("{other:?}"),
    }))
}

fn event(rest: &str) -> String {
    format!("{{{rest},\"mail\":{{\"messageId\":\"0107-1\",\"destination\":[\"user@example.com\"]}}}}")
}

#[test]
fn every_event_has_the_status_of_the_reference() {
    for (rest, status) in [
        (
            "\"eventType\":\"Delivery\",\"delivery\":{\"timestamp\":\"2026-07-21T14:03:11.000Z\"}",
            Some("delivered"),
        ),
        ("\"notificationType\":\"Delivery\"", Some("delivered")),
        (
            "\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\",\"bounceSubType\":\"General\"}",
            Some("invalid"),
        ),
        (
            "\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Transient\",\"bounceSubType\":\"MailboxFull\"}",
            Some("bounced"),
        ),
        ("\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Undetermined\"}", Some("bounced")),
        ("\"eventType\":\"Bounce\"", Some("bounced")),
        ("\"eventType\":\"Complaint\"", Some("delivered")),
        ("\"eventType\":\"Reject\",\"reject\":{\"reason\":\"Bad content\"}", Some("bounced")),
        ("\"eventType\":\"Rendering Failure\"", Some("bounced")),
        ("\"eventType\":\"Open\"", Some("opened")),
        ("\"eventType\":\"Click\"", Some("opened")),
        ("\"eventType\":\"Send\"", None),
        ("\"eventType\":\"DeliveryDelay\"", None),
        ("\"eventType\":\"Novelty\"", None),
    ] {
        let receipt = parsed_receipt(&event(rest)).unwrap();
        assert_eq!(receipt.map(|receipt| receipt.status.as_str()), status, "{rest}");
    }
}

#[test]
fn a_receipt_has_reference_time_and_reason() {
    let rest = "\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\",\"bounceSubType\":\"General\",\
                \"timestamp\":\"2026-07-21T14:03:11.000Z\",\"bouncedRecipients\":[{\"status\":\"5.1.1\",\
                \"diagnosticCode\":\"smtp; 550 5.1.1 user unknown\"}]}";
    let receipt = parsed_receipt(&event(rest)).unwrap().unwrap();
    assert_eq!(receipt.reference, "0107-1");
    assert_eq!(receipt.at.to_rfc3339(), "2026-07-21T14:03:11+00:00");
    assert_eq!(receipt.status.reason(), Some("Permanent General, 5.1.1, smtp; 550 5.1.1 user unknown"));
}

#[test]
fn a_spam_complaint_opts_out() {
    let complaint = |kind: &str| {
        let rest = format!(
            "\"eventType\":\"Complaint\",\"complaint\":{{\"complaintFeedbackType\":\"{kind}\",\
             \"complainedRecipients\":[{{\"emailAddress\":\"user@example.com\"}}]}}"
        );
        parse_event(&event(&rest), from_millis(1_800_000_000_000)).unwrap()
    };
    let items = complaint("abuse");
    let [CallbackItem::Receipt(_), CallbackItem::OptedOut(out)] = items.as_slice() else {
        panic!("{items:?}")
    };
    assert_eq!((out.address.as_str(), out.reason.as_str()), ("user@example.com", "spam complaint: abuse"));
    assert_eq!(complaint("not-spam").len(), 1);
}

#[test]
fn a_malformed_event_is_rejected_and_another_notification_ignored() {
    assert_eq!(parsed_receipt("{}"), Ok(None));
    assert!(matches!(parsed_receipt("hello"), Err(CallbackError::Malformed(_))));
    assert!(matches!(parsed_receipt("{\"eventType\":\"Delivery\"}"), Err(CallbackError::Malformed(_))));
}

fn bounce(bounce_type: &str, subtype: &str, recipient: &str) -> Option<&'static str> {
    let rest = format!(
        "\"eventType\":\"Bounce\",\"bounce\":{{\"bounceType\":\"{bounce_type}\",\"bounceSubType\":\"{subtype}\",\
         \"bouncedRecipients\":[{{{recipient}}}]}}"
    );
    parsed_receipt(&event(&rest)).unwrap().map(|receipt| receipt.status.as_str())
}

#[test]
fn only_a_permanent_bounce_about_the_mailbox_makes_the_address_invalid() {
    for (subtype, code, diagnostic, status) in [
        ("General", "5.1.1", "smtp; 550 5.1.1 user unknown", "invalid"),
        ("General", "5.2.1", "", "invalid"),
        ("General", "5.5.0", "smtp; 550 mailbox unavailable", "invalid"),
        ("General", "", "", "invalid"),
        ("NoEmail", "5.7.1", "", "invalid"),
        ("Suppressed", "", "", "invalid"),
        ("OnAccountSuppressionList", "5.1.1", "", "invalid"),
        ("General", "5.7.1", "", "bounced"),
        ("General", "5.4.1", "smtp; 550 5.4.1 Recipient address rejected: Access denied", "bounced"),
        ("General", "5.3.4", "smtp; 552 message too large", "bounced"),
        ("General", "5.7.26", "", "bounced"),
        ("General", "5.1.1", "smtp; 550 blocked using a block list", "bounced"),
        ("General", "", "smtp; 550 refused", "bounced"),
    ] {
        let recipient = format!("\"status\":\"{code}\",\"diagnosticCode\":\"{diagnostic}\"");
        assert_eq!(bounce("Permanent", subtype, &recipient), Some(status), "{subtype} {code} {diagnostic}");
    }
}

#[test]
fn an_automatic_reply_is_no_bounce() {
    assert_eq!(bounce("Transient", "General", ""), None);
    assert_eq!(bounce("Transient", "General", "\"emailAddress\":\"user@example.com\""), None);
    assert_eq!(bounce("Transient", "MailboxFull", "\"status\":\"5.2.2\""), Some("bounced"));
    assert_eq!(bounce("Transient", "General", "\"status\":\"4.4.7\",\"action\":\"failed\""), Some("bounced"));
    assert_eq!(bounce("Transient", "MessageTooLarge", ""), Some("bounced"));
}
