//! Contacts: the addresses of one person, by kind.
//!
//! Encodes the contacts as one text. A delivery over a channel with several kinds of addresses carries this text.

use crate::address::AddressKind;

/// One address of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The kind of the address.
    pub kind: AddressKind,
    /// The normalised address.
    pub address: String,
    /// The address as the client wrote it.
    pub spelling: String,
}

/// Encodes contacts as one text: a line for each, with kind, address and spelling separated by tabs. Returns none for an
/// empty list.
pub fn encode_contacts(contacts: &[Contact]) -> Option<String> {
    if contacts.is_empty() {
        return None;
    }
    let encode_line = |contact: &Contact| {
        let spelling = replace_control_chars(&contact.spelling);
        format!("{}\t{}\t{spelling}", contact.kind.as_str(), contact.address)
    };
    Some(contacts.iter().map(encode_line).collect::<Vec<_>>().join("\n"))
}

/// Returns the spelling with blanks instead of control characters, as [`encode_contacts`] writes it.
pub fn replace_control_chars(spelling: &str) -> String {
    spelling.replace(char::is_control, " ")
}

/// Decodes what [`encode_contacts`] wrote; returns none for any other text.
pub fn decode_contacts(text: &str) -> Option<Vec<Contact>> {
    let decode_line = |line: &str| {
        let (contact_kind, address_and_spelling) = line.split_once('\t')?;
        let (address, spelling) = address_and_spelling.split_once('\t')?;
        let contact_kind = AddressKind::parse(contact_kind)?;
        Some(Contact { kind: contact_kind, address: address.to_owned(), spelling: spelling.to_owned() })
    };
    text.split('\n').map(decode_line).collect()
}

#[cfg(test)]
mod tests;
