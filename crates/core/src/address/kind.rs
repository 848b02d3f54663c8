//! Kinds of recipient addresses: phone number, e-mail address, URL and others.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::text_enum::text_enum;

/// The kind of a recipient's address, or the kind that a provider accepts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, Hash, PartialOrd, Ord, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum AddressKind {
    /// A phone number in E.164.
    #[default]
    Phone,
    /// An e-mail address.
    Email,
    /// The token of an app on a device.
    Push,
    /// The id of a person at a messenger.
    Messenger,
    /// An `http` or `https` URL.
    Url,
    /// Any text that the provider understands.
    Any,
}

text_enum!(AddressKind);

impl AddressKind {
    /// Returns whether a provider that accepts `provider_kind` can use an address of this kind.
    pub fn is_usable_by(self, provider_kind: Self) -> bool {
        self == provider_kind || self == Self::Any || provider_kind == Self::Any
    }

    /// Returns the kind in words for people.
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
