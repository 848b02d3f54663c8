//! The addresses of one person, by kind, as a delivery over a channel of several kinds carries them.
//!
//! Knows how they are written into one text and read back. What an address looks like is said in `recipient`.

/// What an address is, and what a provider wants to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub enum AddressKind {
    /// A phone number, kept in E.164.
    #[default]
    Phone,
    /// An e-mail address.
    Email,
    /// The token of an app on a device.
    Push,
    /// A person's id at a messenger.
    Messenger,
    /// An `http` or `https` URL.
    Url,
    /// Any text the provider understands.
    Any,
}

impl AddressKind {
    /// Every kind, in the order of the enum.
    pub const ALL: [Self; 6] = [
        Self::Phone,
        Self::Email,
        Self::Push,
        Self::Messenger,
        Self::Url,
        Self::Any,
    ];

    /// The word that stores, faces and the configuration use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Push => "push",
            Self::Messenger => "messenger",
            Self::Url => "url",
            Self::Any => "any",
        }
    }

    /// Back from the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether an address of this kind is what a provider that wants `wanted` can use.
    pub fn is_usable_by(self, wanted: Self) -> bool {
        self == wanted || self == Self::Any || wanted == Self::Any
    }

    /// The kind in words for a person.
    pub fn description(self) -> &'static str {
        match self {
            Self::Phone => "phone number",
            Self::Email => "e-mail address",
            Self::Push => "push token",
            Self::Messenger => "messenger id",
            Self::Url => "URL",
            Self::Any => "address",
        }
    }
}

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
