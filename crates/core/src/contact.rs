//! The addresses of one person, by kind, as a delivery over a channel of several kinds carries them.
//!
//! Knows how they are written into one text and read back. What an address looks like is said in `address`.

use crate::address::AddressKind;

/// One address of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// What it is.
    pub kind: AddressKind,
    /// Normalised.
    pub address: String,
    /// As the client wrote it.
    pub spelling: String,
}

/// The contacts as one text: a line for each, kind, address and spelling between tabs. None where there are none.
pub fn encode_contacts(contacts: &[Contact]) -> Option<String> {
    if contacts.is_empty() {
        return None;
    }
    let line = |contact: &Contact| {
        let spelling = replace_control_chars(&contact.spelling);
        format!("{}\t{}\t{spelling}", contact.kind.as_str(), contact.address)
    };
    Some(contacts.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// A spelling as [`written`] keeps it.
pub fn replace_control_chars(spelling: &str) -> String {
    spelling.replace(char::is_control, " ")
}

/// Back from the text; none when it is not one that was written here.
pub fn decode_contacts(text: &str) -> Option<Vec<Contact>> {
    let contact = |line: &str| {
        let mut parts = line.splitn(3, '\t');
        Some(Contact {
            kind: AddressKind::parse(parts.next()?)?,
            address: parts.next()?.to_owned(),
            spelling: parts.next()?.to_owned(),
        })
    };
    text.split('\n').map(contact).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_read_back_as_they_were_written() {
        let contact = |kind, address: &str, spelling: &str| Contact {
            kind,
            address: address.to_owned(),
            spelling: spelling.to_owned(),
        };
        let contacts = vec![
            contact(AddressKind::Push, "token:abc", "token:abc"),
            contact(AddressKind::Phone, "+989122222222", "0912 222 2222"),
        ];
        assert_eq!(
            decode_contacts(&encode_contacts(&contacts).unwrap()),
            Some(contacts)
        );
        let odd = [contact(AddressKind::Email, "a@b.example", "a@b.example\n\tpush")];
        let spelling = decode_contacts(&encode_contacts(&odd).unwrap())
            .unwrap()
            .remove(0)
            .spelling;
        assert_eq!(spelling, "a@b.example  push");
        assert_eq!(encode_contacts(&[]), None);
        for text in ["", "phone", "pigeon\tx\ty"] {
            assert_eq!(decode_contacts(text), None, "{text:?}");
        }
    }
}
