//! Kinds of addresses.

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
