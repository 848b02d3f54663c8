//! Why a text is not an address.

use std::fmt;

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// There is nothing.
    Empty,
    /// It is longer than any such address.
    TooLong,
    /// It has a character that no such address has.
    InvalidCharacter,
    /// It has not the shape, or not the length, of such an address.
    InvalidFormat,
    /// It has the right length, but its region has given out no such number.
    UnassignedNumber,
}

impl fmt::Display for AddressError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Empty => "there is no address",
            Self::TooLong => "the address is too long",
            Self::InvalidCharacter => "the address has a character that does not belong there",
            Self::InvalidFormat => "the address has not the form of one on this channel",
            Self::UnassignedNumber => "no such number has been given out",
        })
    }
}
