//! Reasons why a text is not a valid recipient address (phone number, email address, …).

/// The reason why a text is not a valid recipient address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum AddressError {
    /// The text is empty.
    #[strum(to_string = "missing address")]
    Empty,
    /// The text is longer than any address of this kind.
    #[strum(to_string = "the address is too long")]
    TooLong,
    /// A character cannot occur in an address of this kind.
    #[strum(to_string = "the address has an invalid character")]
    InvalidCharacter,
    /// The form or the length is wrong.
    #[strum(to_string = "invalid address format for this channel")]
    InvalidFormat,
    /// The length is right, but the numbering plan has not assigned the number.
    #[strum(to_string = "phone number is not assigned")]
    UnassignedNumber,
    /// The number costs more than an ordinary one, and the configuration does not allow such numbers.
    #[strum(to_string = "premium-rate and shared-cost phone numbers are not allowed")]
    PremiumNumber,
    /// The configuration does not allow numbers of this country.
    #[strum(to_string = "phone numbers of this country are not allowed")]
    CountryNotAllowed,
}
