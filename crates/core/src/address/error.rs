//! Reasons why a text is not a valid recipient address (phone number, email address, …).

use std::fmt;

/// The reason why a text is not a valid recipient address. Contains no more of the address than one character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// The text is empty.
    Empty,
    /// The text is longer than any address of this kind; the maximum in bytes or characters.
    TooLong(usize),
    /// This character cannot occur in an address of this kind.
    InvalidCharacter(char),
    /// A phone number with fewer digits than any number has.
    TooFewDigits(usize),
    /// A phone number with more digits than any number has.
    TooManyDigits(usize),
    /// No number of the country that receives messages has this many digits.
    WrongDigitCount(usize),
    /// The number begins with 0 behind the country code, where its country assigns no numbers.
    LeadingZero,
    /// No country has the code behind the `+`.
    UnknownCountryCode,
    /// The length is right, but the numbering plan has not assigned the number.
    UnassignedNumber,
    /// An e-mail address without exactly one `@` between a name and a domain.
    NoAtSign,
    /// The name before the `@` is longer than 64 bytes.
    NameTooLong,
    /// The domain behind the `@`, or the host of the URL, is not a domain name.
    InvalidDomain,
    /// Not an `http` or `https` URL.
    InvalidUrl,
    /// Not an address of any kind that the channel takes.
    UnusableKind,
    /// The number costs more than an ordinary one, and the configuration does not allow such numbers.
    PremiumNumber,
    /// The configuration does not allow numbers of this country.
    CountryNotAllowed,
    /// The account does not send to numbers that begin like this one.
    PrefixNotAllowed,
}

impl fmt::Display for AddressError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("missing address"),
            Self::TooLong(length_max) => {
                write!(out, "the address is too long: at most {length_max} characters")
            }
            Self::InvalidCharacter(c) => write!(
                out,
                "the address has an invalid character: {} (U+{:04X})",
                displayed_character(*c),
                u32::from(*c)
            ),
            Self::TooFewDigits(count) => write!(out, "too short for a phone number: {count} digits"),
            Self::TooManyDigits(count) => write!(out, "too long for a phone number: {count} digits"),
            Self::WrongDigitCount(count) => {
                write!(out, "invalid phone number: its country has none of {count} digits for messages")
            }
            Self::LeadingZero => out.write_str(
                "invalid phone number: a digit is missing, or there is a 0 too many behind the country code",
            ),
            Self::UnknownCountryCode => {
                out.write_str("invalid phone number: no country has the code behind the +")
            }
            Self::UnassignedNumber => out.write_str("phone number is not assigned"),
            Self::NoAtSign => {
                out.write_str("invalid e-mail address: expected one @ between a name and a domain")
            }
            Self::NameTooLong => {
                out.write_str("invalid e-mail address: the name before the @ has more than 64 bytes")
            }
            Self::InvalidDomain => out.write_str("invalid domain name in the address"),
            Self::InvalidUrl => out.write_str("invalid URL: expected http:// or https:// and a host"),
            Self::UnusableKind => out.write_str("invalid address format for this channel"),
            Self::PremiumNumber => {
                out.write_str("premium-rate and shared-cost phone numbers are not allowed")
            }
            Self::CountryNotAllowed => out.write_str("phone numbers of this country are not allowed"),
            Self::PrefixNotAllowed => out.write_str("phone numbers with this beginning are not allowed"),
        }
    }
}

/// Returns a character in quotes, or a word for one that cannot be seen.
fn displayed_character(c: char) -> String {
    match c {
        ' ' => "a blank".to_owned(),
        c if c.is_control() || c.is_whitespace() || super::invisible::is_invisible(c) => {
            "an invisible one".to_owned()
        }
        c => format!("\"{c}\""),
    }
}
