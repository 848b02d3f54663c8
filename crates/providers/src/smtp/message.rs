//! Turns a parcel into a mail: headers, text and envelope.
//!
//! A message can change values only, never add a header or a recipient: addresses are parsed, the subject loses its
//! control characters, and everything beyond ASCII is encoded as the standards for mail have it.

use std::time::SystemTime;

use lettre::address::Address;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Body, Mailbox, Message};

use super::settings::SmtpSettings;
use crate::OutboundMessage;
use crate::email_address::{parse_recipient, single_line};
use postrider_core::clock::Timestamp;

/// The longest line that a mail may hold unencoded, in bytes.
const LINE_BYTES_MAX: usize = 998;

/// A mail and its envelope, ready for the wire.
pub(super) struct EmailMessage {
    /// For whom.
    pub to: Address,
    /// The id in its header, without the brackets: the same however often a delivery is tried, so that a mail server
    /// or a mail program can tell that it has this mail already.
    pub id: String,
    /// Headers and text, with line ends as the wire wants them.
    pub content: Vec<u8>,
}

/// Why there can be no mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ComposeError {
    /// The address is no address of a mailbox.
    InvalidAddress,
    /// Anything else.
    Other(String),
}

/// Writes the mail.
pub(super) fn compose(
    parcel: &OutboundMessage,
    settings: &SmtpSettings,
    now: Timestamp,
) -> Result<EmailMessage, ComposeError> {
    let to = parse_recipient(&parcel.to).ok_or(ComposeError::InvalidAddress)?;
    let id = format!(
        "{}.{}@{}",
        parcel.message_id,
        parcel.delivery_id,
        settings.from.email.domain()
    );
    let subject = parcel.subject.as_deref().map(single_line);
    let subject = subject.filter(|subject| !subject.is_empty());
    let mut letter = Message::builder()
        .from(settings.from.clone())
        .to(Mailbox::new(None, to.clone()))
        .date(SystemTime::from(now))
        .message_id(Some(format!("<{id}>")))
        .subject(subject.unwrap_or_else(|| settings.subject.clone()))
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN);
    if let Some(reply_to) = &settings.reply_to {
        letter = letter.reply_to(reply_to.clone());
    }
    let letter = letter
        .body(encode_body(&parcel.body))
        .map_err(|cause| ComposeError::Other(cause.to_string()))?;
    Ok(EmailMessage {
        to,
        id,
        content: letter.formatted(),
    })
}

/// The text, encoded so that any server takes it: as it is where it is plain, else as quoted-printable or base64.
fn encode_body(text: &str) -> Body {
    let odd = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t');
    if text.contains(odd) || text.contains('\r') || text.split('\n').any(|line| line.len() > LINE_BYTES_MAX) {
        let encoded = Body::new_with_encoding(text.replace("\r\n", "\n"), ContentTransferEncoding::Base64);
        return encoded.unwrap_or_else(|_| Body::new(text.to_owned()));
    }
    Body::new(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::conformance::sample_message;
    use postrider_core::clock::from_millis;

    fn settings() -> SmtpSettings {
        let table = "host = \"localhost\"\nfrom = \"Müller & Co <shop@example.org>\"\nreply_to = \"help@example.org\"";
        SmtpSettings::read(table.parse().unwrap()).unwrap()
    }

    fn composed_text(parcel: &OutboundMessage) -> String {
        let now = from_millis(1_700_000_000_000);
        String::from_utf8(compose(parcel, &settings(), now).unwrap().content).unwrap()
    }

    fn message_to(address: &str) -> OutboundMessage {
        OutboundMessage {
            to: address.to_owned(),
            ..sample_message()
        }
    }

    #[test]
    fn a_letter_has_all_that_a_mail_needs() {
        let text = composed_text(&OutboundMessage {
            subject: Some("Your code".to_owned()),
            body: "4711".to_owned(),
            ..message_to("user@example.com")
        });
        let parcel = sample_message();
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
            &format!(
                "Message-ID: <{}.{}@example.org>",
                parcel.message_id, parcel.delivery_id
            ),
        ] {
            assert!(text.contains(&format!("{line}\r\n")), "{line} is not in:\n{text}");
        }
        assert!(text.ends_with("\r\n\r\n4711"), "{text}");
    }

    #[test]
    fn nothing_in_a_message_becomes_a_header_or_a_recipient() {
        let text = composed_text(&OutboundMessage {
            subject: Some("a\r\nBcc: x@example.org\r\n\r\nb\0".to_owned()),
            body: "c".to_owned(),
            ..message_to("user@example.com")
        });
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(!head.contains("\nBcc"), "{text}");
        assert!(head.contains("Subject: a  Bcc: x@example.org    b\r\n"), "{text}");
        for address in [
            "",
            "a",
            "a@b@c",
            "<a@b.c>",
            "a@b.c>",
            "a\r\nRCPT TO:<x@y.z>@b.c",
            "a b@c.d",
            "a@b c",
        ] {
            let refused = compose(&message_to(address), &settings(), from_millis(0)).err();
            assert_eq!(refused, Some(ComposeError::InvalidAddress), "{address:?}");
        }
    }

    #[test]
    fn every_alphabet_passes_any_server() {
        for body in [
            "Grüße — سلام 👋".to_owned(),
            "سلام ".repeat(400),
            "\0\u{1b}x".to_owned(),
            "x".repeat(2_000),
        ] {
            let text = composed_text(&OutboundMessage {
                body,
                ..message_to("user@example.com")
            });
            assert!(text.is_ascii(), "{text}");
            assert!(text.lines().all(|line| line.len() <= LINE_BYTES_MAX), "{text}");
        }
        let subject = "Ваш код — سلام".repeat(9);
        let text = composed_text(&OutboundMessage {
            subject: Some(subject),
            ..message_to("user@bücher.example")
        });
        assert!(
            text.contains("To: user@xn--bcher-kva.example\r\n") && text.is_ascii(),
            "{text}"
        );
    }
}
