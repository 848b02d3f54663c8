//! The source address of a message, with its type of number (TON) and numbering plan (NPI).
//!
//! TON and NPI follow from the form of the address (international number, short code, alphanumeric) unless they are given.

use std::fmt;

#[cfg(test)]
mod tests;

/// A source address as `submit_sm` carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceAddress {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan indicator.
    pub npi: u8,
    /// The address, without a leading `+` or `00` and without the terminating zero.
    pub address: String,
}

/// Error of [`SourceAddress::parse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSourceAddress;

impl fmt::Display for InvalidSourceAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("must be a number, a short code, or up to 11 ASCII letters and digits")
    }
}

impl std::error::Error for InvalidSourceAddress {}

/// Minimum digits of a number with a country code; a shorter number without `+` is a short code.
const INTERNATIONAL_DIGITS_MIN: usize = 9;

/// Maximum digits of a number; `source_addr` has 21 octets with the terminating zero.
const DIGITS_MAX: usize = 20;

/// Maximum characters of an alphanumeric address in GSM networks.
const ALPHANUMERIC_CHARS_MAX: usize = 11;

impl SourceAddress {
    /// Parses an address; `ton` and `npi` replace the values that follow from its form. A number may begin with `+` or `00`.
    ///
    /// # Errors
    /// Fails when the address is empty, too long or not printable ASCII.
    pub fn parse(address_text: &str, ton: Option<u8>, npi: Option<u8>) -> Result<Self, InvalidSourceAddress> {
        let address_text = address_text.trim();
        let without_00 =
            address_text.strip_prefix("00").filter(|rest| rest.len() >= INTERNATIONAL_DIGITS_MIN);
        let address_digits = without_00.unwrap_or(address_text.strip_prefix('+').unwrap_or(address_text));
        let is_number =
            !address_digits.is_empty() && address_digits.bytes().all(|byte| byte.is_ascii_digit());
        let (default_ton, default_npi) = if !is_number {
            (5, 0)
        } else if address_text.starts_with('+') || address_digits.len() >= INTERNATIONAL_DIGITS_MIN {
            (1, 1)
        } else {
            (0, 0)
        };
        let (address, length_max) =
            if is_number { (address_digits, DIGITS_MAX) } else { (address_text, ALPHANUMERIC_CHARS_MAX) };
        let is_printable = address_text.bytes().all(|byte| (b' '..0x7F).contains(&byte));
        if address.is_empty() || address.len() > length_max || !is_printable {
            return Err(InvalidSourceAddress);
        }
        Ok(Self {
            ton: ton.unwrap_or(default_ton),
            npi: npi.unwrap_or(default_npi),
            address: address.to_owned(),
        })
    }
}
