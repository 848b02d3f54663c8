//! Parsing of phone numbers into E.164.
//!
//! The `rlibphonenumber` library knows the numbering plans of all regions. Separators and digits are normalised here, and
//! the digits of a number that the library cannot parse are kept if their count is possible in the region and the first is
//! not 0. The normal form of a number is its own normal form.

use std::borrow::Cow;

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region,
};

use super::error::AddressError;

/// Longest spelling of a phone number, in characters.
const PHONE_CHARS_MAX: usize = 50;
/// Digits of the shortest and of the longest international number, country code included (E.164).
const E164_DIGITS_MIN: usize = 7;
const E164_DIGITS_MAX: usize = 15;
/// Digits of a number whose leading 0 is more likely the reason of an error than its length.
const LEADING_ZERO_DIGITS_MIN: usize = 8;
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
        let digits = normalize_digits(text)?;
        let number = self.parse_digits(&digits)?;
        if self.strictness == PhoneStrictness::Valid && !number.is_valid() {
            return Err(AddressError::UnassignedNumber);
        }
        let normal = number.format_as(PhoneNumberFormat::E164).into_owned();
        if normal == digits {
            return Ok(normal);
        }
        // A number that a second parse would change is none: its status could not be found again.
        match self.parse_digits(&normal) {
            Ok(again) if again.format_as(PhoneNumberFormat::E164) == normal => Ok(normal),
            _ => Err(wrong_digit_count(&digits)),
        }
    }

    /// Parses a number of a possible length.
    fn parse_digits(&self, digits: &str) -> Result<PhoneNumber, AddressError> {
        match PHONE_NUMBER_UTIL.parse(digits, Some(self.region.0)) {
            // Few countries have numbers that begin with 0, and those are in the numbering plan.
            Ok(number) if is_possible(&number) && (!number.italian_leading_zero() || number.is_valid()) => {
                Ok(number)
            }
            Err(ParseError::InvalidCountryCode) => Err(AddressError::UnknownCountryCode),
            _ if self.strictness == PhoneStrictness::Valid => Err(wrong_digit_count(digits)),
            _ => self.unchanged_digits(digits),
        }
    }

    /// Returns the digits as a number of the region if their count is possible and the first is not 0.
    fn unchanged_digits(&self, digits: &str) -> Result<PhoneNumber, AddressError> {
        let is_international = digits.starts_with('+');
        let national_number = digits.parse().ok().filter(|_| !is_international);
        let country_code = PHONE_NUMBER_UTIL.get_country_code_for_region(self.region.0);
        let (Some(national_number), Some(country_code)) = (national_number, country_code) else {
            return Err(wrong_digit_count(digits));
        };
        let number = PhoneNumber { country_code, national_number, ..PhoneNumber::default() };
        match (is_possible(&number), digits.starts_with('0')) {
            (true, false) => Ok(number),
            (_, true) if digits.len() > LEADING_ZERO_DIGITS_MIN => Err(AddressError::LeadingZero),
            _ => Err(wrong_digit_count(digits)),
        }
    }
}

/// Returns why no number has this many digits.
fn wrong_digit_count(digits: &str) -> AddressError {
    match digits.bytes().filter(u8::is_ascii_digit).count() {
        count @ ..E164_DIGITS_MIN => AddressError::TooFewDigits(count),
        count @ E164_DIGITS_MIN..=E164_DIGITS_MAX => AddressError::WrongDigitCount(count),
        count => AddressError::TooManyDigits(count),
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
        return Err(AddressError::TooLong(PHONE_CHARS_MAX));
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '0'..='9' => plain.push(c),
            '+' | '\u{FF0B}' if plain.is_empty() => plain.push('+'),
            _ if is_separator(c) => {}
            _ => plain.push(latin_digit(c).ok_or(AddressError::InvalidCharacter(c))?),
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
pub(crate) fn latin_digit(c: char) -> Option<char> {
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
