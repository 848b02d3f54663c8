//! Parsing of phone numbers into E.164.
//!
//! The `rlibphonenumber` library knows the numbering plans of all regions. Separators and digits are normalised here, and
//! the digits of a number that the library cannot parse are kept if their count is possible in the region.

use std::borrow::Cow;

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region,
};

use super::error::AddressError;

/// Longest spelling of a phone number, in characters.
const PHONE_CHARS_MAX: usize = 50;
/// Types of numbers that can receive messages: no short codes and no numbers that work only inside a country.
const MESSAGING_NUMBER_TYPES: [PhoneNumberType; 8] = [
    PhoneNumberType::Mobile,
    PhoneNumberType::FixedLine,
    PhoneNumberType::VoIP,
    PhoneNumberType::PersonalNumber,
    PhoneNumberType::TollFree,
    PhoneNumberType::SharedCost,
    PhoneNumberType::PremiumRate,
    PhoneNumberType::Pager,
];

/// How strictly a phone number is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PhoneStrictness {
    /// The length must be possible in the region.
    #[default]
    Possible,
    /// The numbering plan of the region must have assigned the number.
    Valid,
}

/// A region with a numbering plan, most often a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhoneRegion(Region);

impl PhoneRegion {
    /// Returns the region with these two capital letters (ISO 3166-1), if it has a numbering plan.
    pub fn parse(code: &str) -> Option<Self> {
        let region = Region::try_from(code).ok()?;
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).map(|_| Self(region))
    }

    /// Returns the region of the library.
    pub(super) fn region(self) -> Region {
        self.0
    }
}

/// How phone numbers are parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhoneRules {
    /// The region of a number without a country code.
    pub region: PhoneRegion,
    /// How strictly numbers are checked.
    pub strictness: PhoneStrictness,
}

impl Default for PhoneRules {
    fn default() -> Self {
        Self { region: PhoneRegion(Region::IR), strictness: PhoneStrictness::default() }
    }
}

/// Loads the tables of the phone number library, which takes about 10 ms. Call it from a background thread at the start,
/// so that the first message does not wait for it.
pub fn preload_phone_metadata() {
    let rules = PhoneRules { strictness: PhoneStrictness::Valid, ..PhoneRules::default() };
    // The result does not matter: parsing one number loads every table.
    let _ = rules.parse_phone("09122222222");
}

impl PhoneRules {
    /// Parses a phone number in any usual spelling and returns it in E.164.
    ///
    /// Accepts `0912…`, `+98912…` and `0098912…`, blanks, dashes and brackets, and Latin, Persian or Arabic digits.
    ///
    /// # Errors
    /// The text is not a phone number, or not one that [`PhoneStrictness`] allows.
    pub fn parse_phone(&self, text: &str) -> Result<String, AddressError> {
        let normal_form = self.parse_once(text)?;
        // A number that changes when it is parsed again is refused, because one phone would be two recipients.
        match self.parse_once(&normal_form) {
            Ok(again) if again == normal_form => Ok(normal_form),
            _ => Err(AddressError::InvalidFormat),
        }
    }

    fn parse_once(&self, text: &str) -> Result<String, AddressError> {
        let digits = normalize_digits(text)?;
        let parsed = PHONE_NUMBER_UTIL.parse(&*digits, Some(self.region.0)).ok().filter(is_possible);
        let number = match (parsed, self.strictness) {
            (Some(number), PhoneStrictness::Valid) if !number.is_valid() => {
                return Err(AddressError::UnassignedNumber);
            }
            (Some(number), _) => number,
            (None, PhoneStrictness::Possible) => {
                self.unchanged_digits(&digits).ok_or(AddressError::InvalidFormat)?
            }
            (None, PhoneStrictness::Valid) => return Err(AddressError::InvalidFormat),
        };
        Ok(number.format_as(PhoneNumberFormat::E164).into_owned())
    }

    /// Returns the digits, leading zeros included, as a number of the region, if the region has numbers with that many
    /// digits.
    fn unchanged_digits(&self, digits: &str) -> Option<PhoneNumber> {
        let leading_zeros = digits.bytes().take(digits.len() - 1).take_while(|digit| *digit == b'0').count();
        let number = PhoneNumber {
            country_code: PHONE_NUMBER_UTIL.get_country_code_for_region(self.region.0)?,
            national_number: digits.parse().ok().filter(|_| !digits.starts_with('+'))?,
            italian_leading_zero: Some(leading_zeros > 0),
            number_of_leading_zeros: i32::try_from(leading_zeros).ok(),
            ..PhoneNumber::default()
        };
        Some(number).filter(is_possible)
    }
}

/// Returns whether the numbering plan of the number's country code has numbers of that length that receive messages.
fn is_possible(number: &PhoneNumber) -> bool {
    MESSAGING_NUMBER_TYPES.into_iter().any(|number_type| {
        let length = PHONE_NUMBER_UTIL.is_possible_number_for_type_with_reason(number, number_type);
        length == Ok(NumberLengthType::IsPossible)
    })
}

/// Returns the number without separators, in Latin digits, with at most one `+` in front.
fn normalize_digits(text: &str) -> Result<Cow<'_, str>, AddressError> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain && text.len() <= PHONE_CHARS_MAX {
        return Ok(Cow::Borrowed(text));
    }
    if text.chars().nth(PHONE_CHARS_MAX).is_some() {
        return Err(AddressError::TooLong);
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '0'..='9' => plain.push(c),
            '+' | '\u{FF0B}' if plain.is_empty() => plain.push('+'),
            _ if is_separator(c) => {}
            _ => plain.push(latin_digit(c).ok_or(AddressError::InvalidCharacter)?),
        }
    }
    if plain.is_empty() {
        return Err(AddressError::Empty);
    }
    Ok(Cow::Owned(plain))
}

/// Returns whether a character only separates digits: blanks, dashes, brackets, dots and slashes, and the invisible marks
/// that are copied along with right-to-left text.
fn is_separator(c: char) -> bool {
    matches!(
        c,
        ' ' | '-' | '.' | '(' | ')' | '[' | ']' | '/' | '\u{A0}' | '\u{2212}'
            | '\u{200B}'..='\u{200F}' | '\u{2010}'..='\u{2015}' | '\u{202A}'..='\u{202F}' | '\u{2060}'..='\u{2069}'
    )
}

/// Returns the Latin digit of a Persian, Arabic or full-width one.
fn latin_digit(c: char) -> Option<char> {
    let zero = match c {
        '\u{6F0}'..='\u{6F9}' => 0x6F0,
        '\u{660}'..='\u{669}' => 0x660,
        '\u{FF10}'..='\u{FF19}' => 0xFF10,
        _ => return None,
    };
    char::from_digit(u32::from(c) - zero, 10)
}

#[cfg(test)]
mod tests;
