//! Parsing of phone numbers into E.164.
//!
//! The `phonenumber` library knows the numbering plans of all regions. [`PhoneRules::parse_phone`] parses the most usual
//! spellings without it, with the same result at a tenth of the cost.

use std::borrow::Cow;

use phonenumber::metadata::DATABASE;
use phonenumber::{Metadata, Type, country};

use super::error::AddressError;

/// Longest spelling of a phone number, in characters.
const PHONE_CHARS_MAX: usize = 50;
/// Types of numbers that can receive messages: no short codes and no numbers that work only inside a country.
const MESSAGING_NUMBER_TYPES: [Type; 8] = [
    Type::Mobile,
    Type::FixedLine,
    Type::Voip,
    Type::PersonalNumber,
    Type::TollFree,
    Type::SharedCost,
    Type::PremiumRate,
    Type::Pager,
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

/// How phone numbers are parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhoneRules {
    /// The region of a number without a country code.
    pub region: country::Id,
    /// How strictly numbers are checked.
    pub strictness: PhoneStrictness,
}

impl Default for PhoneRules {
    fn default() -> Self {
        Self { region: country::IR, strictness: PhoneStrictness::default() }
    }
}

/// Loads the tables of the phone number library, which takes about 60 ms. Call it from a background thread at the start,
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
        if let Some(number) = self.parse_usual_spelling(&digits) {
            return Ok(number);
        }
        self.parse_with_library(&digits)
    }

    /// Parses digits with the library, which knows every region and is slow.
    fn parse_with_library(&self, digits: &str) -> Result<String, AddressError> {
        if digits.starts_with('+') {
            return self.parse_and_check(None, digits);
        }
        let international = self
            .after_international_prefix(digits)
            .map(|rest| self.parse_and_check(None, &format!("+{rest}")));
        if let Some(Ok(number)) = international {
            return Ok(number);
        }
        let national = self.parse_national(digits);
        match self.strictness {
            PhoneStrictness::Possible => {
                national.or_else(|error| self.parse_unchanged_digits(digits).ok_or(error))
            }
            PhoneStrictness::Valid => national,
        }
    }

    /// Parses the most common spellings of a mobile number of the region (`0912…`, `+98912…`, `0098912…`) where they are
    /// unambiguous. Returns what the library would return, or none to leave the digits to the library.
    fn parse_usual_spelling(&self, digits: &str) -> Option<String> {
        if self.strictness != PhoneStrictness::Possible {
            return None;
        }
        let region = DATABASE.by_id(self.region.as_ref())?;
        let has_plain_prefixes = region.national_prefix() == Some("0")
            && region.national_prefix_for_parsing().is_none()
            && region.international_prefix()?.as_str() == "00";
        let mut number = format!("+{}", region.country_code());
        let international = digits.strip_prefix('+').or_else(|| digits.strip_prefix("00"));
        let national = match international {
            Some(rest) => rest.strip_prefix(&number[1..])?,
            None => digits.strip_prefix('0')?,
        };
        let length = u16::try_from(national.len()).ok()?;
        let types = region.descriptors();
        let shortest = types.general().possible_length().first();
        let is_possible = types.mobile()?.possible_length().contains(&length)
            && shortest.is_none_or(|shortest| *shortest <= length);
        number.push_str(national);
        (has_plain_prefixes && is_possible && !national.starts_with('0')).then_some(number)
    }

    /// Parses digits without an international prefix. The library removes the region's own country code from every
    /// number that begins with it; a number that is valid with these digits is therefore tried first.
    fn parse_national(&self, digits: &str) -> Result<String, AddressError> {
        let code = DATABASE.by_id(self.region.as_ref()).map(Metadata::country_code);
        let code = code.ok_or(AddressError::InvalidFormat)?.to_string();
        if digits.starts_with(&code) {
            let strict = Self { strictness: PhoneStrictness::Valid, ..*self };
            if let Ok(number) = strict.parse_and_check(None, &format!("+{code}{digits}")) {
                return Ok(number);
            }
        }
        self.parse_and_check(Some(self.region), digits)
    }

    /// Parses digits with the library and checks the result.
    fn parse_and_check(&self, region: Option<country::Id>, digits: &str) -> Result<String, AddressError> {
        let number = phonenumber::parse(region, digits).map_err(|_| AddressError::InvalidFormat)?;
        let code = number.code().value();
        let national = number.national().to_string();
        if !is_possible_length(code, national.len()) {
            return Err(AddressError::InvalidFormat);
        }
        if self.strictness == PhoneStrictness::Valid && !number.is_valid() {
            return Err(AddressError::UnassignedNumber);
        }
        Ok(format!("+{code}{national}"))
    }

    /// Returns the digits after the region's prefix for international calls (`00`).
    fn after_international_prefix<'a>(&self, digits: &'a str) -> Option<&'a str> {
        let region = DATABASE.by_id(self.region.as_ref())?;
        let prefix = region.international_prefix()?.find(digits)?;
        (prefix.start() == 0).then(|| &digits[prefix.end()..])
    }

    /// Returns the digits, leading zeros included, as a number of the region if their length is possible.
    fn parse_unchanged_digits(&self, digits: &str) -> Option<String> {
        let code = DATABASE.by_id(self.region.as_ref())?.country_code();
        is_possible_length(code, digits.len()).then(|| format!("+{code}{digits}"))
    }
}

/// Returns whether a region with that country code has numbers of that many digits.
fn is_possible_length(code: u16, digits: usize) -> bool {
    let Ok(digits) = u16::try_from(digits) else {
        return false;
    };
    let regions = DATABASE.by_code(&code).unwrap_or_default();
    regions.into_iter().any(|region| {
        MESSAGING_NUMBER_TYPES
            .iter()
            .filter_map(|number_type| region.descriptors().get(*number_type))
            .any(|numbers| numbers.possible_length().contains(&digits))
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
