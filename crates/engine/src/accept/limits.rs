//! Limits of a message by the kind of its address: text parts on a phone, bytes in a push notification.

use postrider_core::address::AddressKind;

use super::request::AcceptError;

/// Maximum size of a notification, in bytes: the limit of APNs, FCM and Pushy.
const PUSH_BYTES_MAX: usize = 4_096;

/// Bytes of a notification beside title and text: the members around them and the id of the message, as sent to APNs.
const PUSH_FRAME_BYTES: usize = 100;

/// Returns an error if the message is too long for an address of this kind.
pub(super) fn check_length(
    kind: AddressKind,
    title: Option<&str>,
    body: &str,
    parts: u32,
    parts_max: u32,
) -> Result<(), AcceptError> {
    match kind {
        AddressKind::Phone if parts > parts_max => Err(AcceptError::TooManyParts { parts, parts_max }),
        AddressKind::Push => {
            let bytes = PUSH_FRAME_BYTES + json_bytes(body) + title.map_or(0, json_bytes);
            let error = AcceptError::PushTooLong { bytes, bytes_max: PUSH_BYTES_MAX };
            if bytes > PUSH_BYTES_MAX { Err(error) } else { Ok(()) }
        }
        AddressKind::Phone
        | AddressKind::Email
        | AddressKind::Messenger
        | AddressKind::Url
        | AddressKind::Any => Ok(()),
    }
}

/// Returns the bytes of a text in JSON without the quotes around it.
fn json_bytes(text: &str) -> usize {
    let escaped_bytes = |c: char| match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{C}' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    };
    text.chars().map(escaped_bytes).sum()
}
