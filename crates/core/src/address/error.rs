//! Reasons why a text is not a valid recipient address (phone number, email address, …).

use std::fmt;

/// The reason why a text is not a valid recipient address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// The text is empty.
    Empty,
    /// The text is longer than any address of this kind.
    TooLong,
    /// A character cannot occur in an address of this kind.
    InvalidCharacter,
    /// The form or the length is wrong.
    InvalidFormat,
    /// The length is right, but the numbering plan has not assigned the number.
    UnassignedNumber,
}

impl fmt::Display for AddressError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Empty => "missing address",
            Self::TooLong => "the address is too long",
            Self::InvalidCharacter => "the address has an invalid character",
            Self::InvalidFormat => "invalid address format for this channel",
            Self::UnassignedNumber => "phone number is not assigned",
        })
    }
}
