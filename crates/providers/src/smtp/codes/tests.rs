//! Tests of the reply tables.

use super::SmtpStage::{Content, Opening, Recipient, Sender};
use super::*;

fn outcome_word(stage: SmtpStage, code: u16, text: &str) -> &'static str {
    let lines = vec![text.to_owned()];
    send_result(stage, &SmtpReply { code, lines }).outcome.as_str()
}

#[test]
fn every_refusal_has_the_outcome_of_the_reference() {
    for (stage, code, text, expected) in [
        (Opening, 554, "no service for you here", "misconfigured"),
        (Opening, 421, "too many connections from your host", "throttled"),
        (Opening, 421, "closing", "unavailable"),
        (Opening, 535, "5.7.8 wrong password", "misconfigured"),
        (Opening, 454, "4.7.0 temporary authentication failure", "throttled"),
        (Opening, 454, "Throttling failure: maximum sending rate exceeded", "throttled"),
        (Sender, 550, "5.7.1 not allowed to send as this", "misconfigured"),
        (Sender, 553, "5.1.8 sender domain unknown", "misconfigured"),
        (Sender, 452, "4.3.1 insufficient storage", "unavailable"),
        (Recipient, 450, "greylisted, try again later", "deferred"),
        (Recipient, 451, "4.7.1 Greylisting in action", "deferred"),
        (Recipient, 450, "4.7.0 greylisted", "deferred"),
        (Recipient, 450, "4.7.28 flood from your address", "throttled"),
        (Recipient, 421, "4.7.0 slow down", "throttled"),
        (Recipient, 452, "4.2.2 mailbox full", "deferred"),
        (Recipient, 552, "5.2.2 mailbox full", "deferred"),
        (Recipient, 451, "4.3.0 queue file write error", "unavailable"),
        (Recipient, 550, "5.1.1 user unknown", "invalid_recipient"),
        (Recipient, 550, "no such user here", "invalid_recipient"),
        (Recipient, 550, "whatever", "rejected"),
        (Recipient, 550, "5.7.606 Access denied, banned sending IP [192.0.2.1]", "rejected"),
        (Recipient, 550, "5.2.121 the recipient exceeded its limit of messages per hour", "deferred"),
        (Recipient, 550, "your network is on our block list", "rejected"),
        (Recipient, 550, "Sender verify failed", "rejected"),
        (Recipient, 550, "5.5.0 Requested action not taken: mailbox unavailable", "invalid_recipient"),
        (Recipient, 550, "5.5.0 no", "rejected"),
        (Recipient, 550, "5.7.1 user exceeded its daily sending limit", "throttled"),
        (Recipient, 422, "4.2.2 Greylisted", "deferred"),
        (Recipient, 450, "4.2.1 receiving mail at a rate that prevents additional messages", "deferred"),
        (Recipient, 452, "the user exceeded the quota", "deferred"),
        (Recipient, 552, "message size exceeds the limit", "rejected"),
        (Recipient, 553, "sorry, not in my list", "rejected"),
        (Recipient, 500, "line too long", "rejected"),
        (Recipient, 503, "5.5.1 bad sequence", "rejected"),
        (Sender, 552, "5.3.4 message size exceeds the limit", "rejected"),
        (Content, 554, "this user doesn't have a yahoo.com account (user@example.com)", "invalid_recipient"),
        (Recipient, 550, "blocked as spam by policy", "rejected"),
        (Recipient, 550, "SPF check failed", "misconfigured"),
        (Recipient, 550, "5.7.1 not wanted here", "rejected"),
        (Recipient, 554, "5.7.1 relay access denied", "misconfigured"),
        (Recipient, 556, "5.1.10 null MX", "invalid_recipient"),
        (Recipient, 501, "bad address", "rejected"),
        (Recipient, 530, "5.7.0 Must issue a STARTTLS command first", "misconfigured"),
        (Recipient, 450, "5.1.1 user unknown", "deferred"),
        (Content, 550, "not liked", "rejected"),
        (Content, 554, "5.6.0 bad content", "rejected"),
        (Content, 552, "5.3.4 too big", "rejected"),
        (Content, 550, "5.7.26 fails DMARC", "misconfigured"),
        (Content, 451, "local error", "deferred"),
        (Content, 554, "5.5.1 no valid recipients", "rejected"),
    ] {
        assert_eq!(outcome_word(stage, code, text), expected, "{stage:?} {code} {text}");
    }
}

#[test]
fn the_code_is_kept_as_it_came_but_for_a_class_that_contradicts_it() {
    let reply = |code, text: &str| SmtpReply { code, lines: vec![text.to_owned()] };
    assert_eq!(reply(550, "5.1.1 no").code_text(), "550 5.1.1");
    assert_eq!(reply(450, "5.1.1 no").code_text(), "450 4.1.1");
    assert_eq!(reply(550, "5.1 no").code_text(), "550");
    assert_eq!(reply(550, "127.0.0.1 is blocked").code_text(), "550");
    assert_eq!(SmtpReply { code: 550, lines: vec![] }.code_text(), "550");
}

#[test]
fn no_code_is_in_a_table_twice() {
    for (at, (code, _)) in BASIC_CODES.iter().enumerate() {
        assert!(BASIC_CODES[..at].iter().all(|(other, _)| other != code), "{code}");
    }
}

#[test]
fn greylisting_waits_minutes_and_a_daily_limit_a_quarter_of_an_hour() {
    let outcome =
        |code, text: &str| send_result(Recipient, &SmtpReply { code, lines: vec![text.to_owned()] }).outcome;
    let Outcome::Deferred { retry_after, .. } = outcome(422, "4.2.2 Greylisted") else {
        panic!("greylisted")
    };
    assert_eq!(retry_after, Some(GREYLIST_RETRY_AFTER));
    let retry_after = Some(QUOTA_RETRY_AFTER);
    assert_eq!(
        outcome(550, "5.7.1 you exceeded your daily sending limit"),
        Outcome::Throttled { retry_after }
    );
}
