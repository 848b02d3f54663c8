//! Tests of the shared verdicts of mail servers.

use super::*;

#[test]
fn only_verdicts_about_the_mailbox_make_an_address_invalid() {
    for (code, text) in [
        (Some("5.1.1"), "user unknown"),
        (
            Some("5.1.1"),
            "<user@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
        ),
        (Some("5.1.1"), "The email account that you tried to reach does not exist"),
        (Some("5.1.10"), "null MX"),
        (Some("5.2.1"), "mailbox disabled"),
        (Some("5.5.0"), "Requested action not taken: mailbox unavailable"),
        (Some("5.0.0"), "user unknown"),
        (None, "No such user here"),
        (None, "delivery error: dd This user doesn't have a yahoo.com account (user@example.com) [0]"),
        (None, "mailbox unavailable"),
        (None, "Invalid recipient user@example.com"),
        (None, "recipient not found"),
        (None, "unknown user"),
    ] {
        assert_eq!(mail_verdict(code, true, text), Some(InvalidRecipient), "{code:?} {text}");
    }
}

#[test]
fn policy_content_size_block_lists_rates_and_quotas_are_no_verdict_about_the_mailbox() {
    for (code, text) in [
        (Some("5.7.1"), "blocked"),
        (Some("5.4.1"), "Recipient address rejected: Access denied"),
        (Some("5.3.4"), "message too large"),
        (Some("5.7.26"), "fails DMARC"),
        (Some("5.7.606"), "Access denied, banned sending IP [192.0.2.1]"),
        (Some("5.2.121"), "the recipient has exceeded the limit of messages per hour"),
        (Some("5.1.90"), "your message can't be sent because you reached your daily limit for recipients"),
        (Some("5.1.1"), "mail from 192.0.2.1 blocked using a block list"),
        (Some("5.1.1"), "message refused by policy"),
        (Some("5.2.2"), "mailbox full"),
        (Some("5.1.1"), "mailbox is full"),
        (Some("5.2.3"), "message exceeds size limit"),
        (Some("5.6.0"), "bad content"),
        (Some("5.7.17"), "mailbox owner changed"),
        (Some("5.4.4"), "unable to route"),
        (Some("5.1.8"), "Sender address rejected: Domain not found"),
        (None, "your network is on our block list"),
        (None, "Sender verify failed"),
        (None, "sender unknown user"),
        (None, "quota exceeded"),
        (None, "message size exceeds the limit"),
        (None, "too many messages"),
        (None, "no"),
        (Some("5.9.9"), "user unknown"),
    ] {
        assert_ne!(mail_verdict(code, true, text), Some(InvalidRecipient), "{code:?} {text}");
    }
}

#[test]
fn a_temporary_failure_never_makes_an_address_invalid() {
    for (code, _, _) in ENHANCED_CODES {
        assert_ne!(mail_verdict(Some(&format!("4.{code}")), false, "user unknown"), Some(InvalidRecipient));
    }
}

#[test]
fn greylisting_quotas_and_limits_are_told_apart_by_their_words() {
    for (code, is_permanent, text, verdict) in [
        (Some("4.2.2"), false, "Greylisted", Greylisted),
        (Some("4.7.1"), false, "gray-listed, try again later", Greylisted),
        (Some("4.2.2"), false, "over quota, try again later", MailboxFull),
        (None, false, "user is over quota", MailboxFull),
        (Some("5.7.1"), true, "the account exceeded its daily sending limit", Throttled),
        (Some("4.2.1"), false, "receiving mail at a rate that prevents additional messages", Deferred),
        (Some("5.2.121"), true, "recipient exceeded its limit per hour", Deferred),
    ] {
        assert_eq!(mail_verdict(code, is_permanent, text), Some(verdict), "{code:?} {text}");
    }
    assert!(is_long_limit("exceeded its daily sending limit") && !is_long_limit("slow down"));
}

#[test]
fn no_code_is_in_the_table_twice() {
    for (index, (code, ..)) in ENHANCED_CODES.iter().enumerate() {
        assert!(ENHANCED_CODES[..index].iter().all(|(other, ..)| other != code), "{code}");
    }
}
