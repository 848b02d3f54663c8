//! Composes a mail: headers, text and envelope.
//!
//! A message cannot add a header or a recipient: addresses are parsed, control characters are removed from the subject,
//! and non-ASCII text is encoded.

use std::time::SystemTime;

use lettre::address::Address;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Body, Mailbox, Message};

use super::settings::SmtpSettings;
use crate::OutboundMessage;
use crate::email_address::{encode_header_text, from_mailbox, parse_recipient, subject_or};
use postrider_core::attempt::Outcome;
use postrider_core::clock::Timestamp;

/// Maximum length of an unencoded line, in bytes (RFC 5322).
const LINE_BYTES_MAX: usize = 998;

/// A composed mail and its recipient.
pub(super) struct EmailMessage {
    /// Recipient.
    pub to: Address,
    /// Message-ID without brackets, the same in all attempts of a delivery, so that servers and mail programs can
    /// recognise a repetition.
    pub id: String,
    /// Headers and text, with CR LF line ends.
    pub content: Vec<u8>,
}

/// Composes the mail of a message. The error is the outcome of a message that cannot be a mail.
pub(super) fn compose(
    message: &OutboundMessage,
    settings: &SmtpSettings,
    now: Timestamp,
) -> Result<EmailMessage, Outcome> {
    // The address was not sent to a server, so the recipient stays active.
    let invalid_address = || Outcome::Rejected { reason: "invalid email address".to_owned() };
    let to = parse_recipient(&message.to).ok_or_else(invalid_address)?;
    let id = format!("{}.{}@{}", message.message_id, message.delivery_id, settings.from.email.domain());
    let subject = subject_or(message.subject.as_deref(), &settings.subject);
    let mut email = Message::builder()
        .from(from_mailbox(message, &settings.from))
        .to(Mailbox::new(None, to.clone()))
        .date(SystemTime::from(now))
        .message_id(Some(format!("<{id}>")))
        .raw_header(HeaderValue::dangerous_new_pre_encoded(
            HeaderName::new_from_ascii_str("Subject"),
            subject.to_string(),
            encode_header_text(&subject),
        ))
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN);
    if let Some(reply_to) = &settings.reply_to {
        email = email.reply_to(reply_to.clone());
    }
    let email = email
        .body(encode_body(&message.body))
        .map_err(|cause| Outcome::Rejected { reason: cause.to_string() })?;
    Ok(EmailMessage { to, id, content: email.formatted() })
}

/// Encodes a text so that every server accepts it: unchanged if it is plain, else as quoted-printable or base64.
fn encode_body(text: &str) -> Body {
    let is_unusual = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if text.contains(is_unusual) || text.split('\n').any(|line| line.len() > LINE_BYTES_MAX) {
        let base64_body =
            Body::new_with_encoding(text.replace("\r\n", "\n"), ContentTransferEncoding::Base64);
        return base64_body.unwrap_or_else(|_| Body::new(text.to_owned()));
    }
    Body::new(text.to_owned())
}

#[cfg(test)]
mod tests;
