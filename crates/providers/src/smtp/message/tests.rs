//! Tests of mail composition.

use super::*;
use crate::testing::conformance::sample_message;
use postrider_core::clock::from_millis;

fn settings() -> SmtpSettings {
    let table =
        "host = \"localhost\"\nfrom = \"Müller & Co <shop@example.org>\"\nreply_to = \"help@example.org\"";
    SmtpSettings::read(table.parse().unwrap()).unwrap()
}

fn composed_text(message: &OutboundMessage) -> String {
    let now = from_millis(1_700_000_000_000);
    String::from_utf8(compose(message, &settings(), now).unwrap().content).unwrap()
}

fn message_to(address: &str) -> OutboundMessage {
    OutboundMessage { to: address.to_owned(), ..sample_message() }
}

#[test]
fn a_mail_has_all_headers() {
    let text = composed_text(&OutboundMessage {
        subject: Some("Your code".to_owned()),
        sender: None,
        body: "4711".to_owned(),
        ..message_to("user@example.com")
    });
    let message = sample_message();
    for line in [
        "From: =?utf-8?b?TcO8bGxlciAmIENv?= <shop@example.org>",
        "To: user@example.com",
        "Date: Tue, 14 Nov 2023 22:13:20 +0000",
        "Subject: Your code",
        "Reply-To: help@example.org",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "MIME-Version: 1.0",
        &format!("Message-ID: <{}.{}@example.org>", message.message_id, message.delivery_id),
    ] {
        assert!(text.contains(&format!("{line}\r\n")), "{line} is not in:\n{text}");
    }
    assert!(text.ends_with("\r\n\r\n4711"), "{text}");
}

#[test]
fn a_message_cannot_add_a_header_or_a_recipient() {
    let text = composed_text(&OutboundMessage {
        subject: Some("a\r\nBcc: x@example.org\r\n\r\nb\0".to_owned()),
        sender: None,
        body: "c".to_owned(),
        ..message_to("user@example.com")
    });
    let head = text.split("\r\n\r\n").next().unwrap();
    assert!(!head.contains("\nBcc"), "{text}");
    assert!(head.contains("Subject: =?utf-8?b?YSAgQmNjOiB4QGV4YW1wbGUub3JnICAgIGI=?=\r\n"), "{text}");
    for address in ["", "a", "a@b@c", "<a@b.c>", "a@b.c>", "a\r\nRCPT TO:<x@y.z>@b.c", "a b@c.d", "a@b c"] {
        let outcome = compose(&message_to(address), &settings(), from_millis(0)).err();
        assert!(matches!(outcome, Some(Outcome::Rejected { .. })), "{address:?}");
    }
}

#[test]
fn every_text_is_encoded_for_any_server() {
    for body in ["Grüße — سلام 👋".to_owned(), "سلام ".repeat(400), "\0\u{1b}x".to_owned(), "x".repeat(2_000)]
    {
        let text = composed_text(&OutboundMessage { body, ..message_to("user@example.com") });
        assert!(text.is_ascii(), "{text}");
        assert!(text.lines().all(|line| line.len() <= LINE_BYTES_MAX), "{text}");
    }
    let subject = "Ваш код — سلام".repeat(9);
    let text =
        composed_text(&OutboundMessage { subject: Some(subject), ..message_to("user@bücher.example") });
    assert!(text.contains("To: user@xn--bcher-kva.example\r\n") && text.is_ascii(), "{text}");
}
