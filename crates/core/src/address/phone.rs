//! Phone numbers.

use std::borrow::Cow;

use phonenumber::metadata::DATABASE;
use phonenumber::{Metadata, Type, country};

use super::error::AddressError;

/// The longest spelling of a phone number, in characters.
const PHONE_CHARS_MAX: usize = 50;
/// The kinds of numbers that can have a handset: not short codes, nor numbers that only ring inside a country.
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

/// How strictly a phone number is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PhoneStrictness {
    /// A plausible length for its region.
    #[default]
    Possible,
    /// A number its region has given out.
    Valid,
}

/// How phone numbers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhoneRules {
    /// The region of a number without a country code.
    pub region: country::Id,
    /// How strictly it is judged.
    pub strictness: PhoneStrictness,
}

impl Default for PhoneRules {
    fn default() -> Self {
        Self {
            region: country::IR,
            strictness: PhoneStrictness::default(),
        }
    }
}

/// Loads the phone-number library's tables, which takes some 60 ms. To be called from a thread in the
/// background at the start, so that the first message need not wait for it.
pub fn preload_phone_metadata() {
    let rules = PhoneRules {
        strictness: PhoneStrictness::Valid,
        ..PhoneRules::default()
    };
    // Whether it is a number does not matter; every table has been used once.
    let _ = rules.parse_phone("09122222222");
}

impl PhoneRules {
    /// Reads a phone number in any usual spelling (`0912…`, `+98912…`, `0098912…`, with blanks, dashes and
    /// brackets, in Latin, Persian or Arabic digits) and gives it back in E.164.
    pub fn parse_phone(&self, typed: &str) -> Result<String, AddressError> {
        let digits = normalize_digits(typed)?;
        if let Some(number) = self.parse_common_spelling(&digits) {
            return Ok(number);
        }
        self.parse_with_library(&digits)
    }

    /// Reads digits with the library, which knows every region's ways and takes its time for it.
    fn parse_with_library(&self, digits: &str) -> Result<String, AddressError> {
        if digits.starts_with('+') {
            return self.parse_and_check(None, digits);
        }
        let abroad = self
            .after_international_prefix(digits)
            .map(|rest| format!("+{rest}"));
        let read_abroad = abroad.map(|number| self.parse_and_check(None, &number));
        if let Some(Ok(number)) = read_abroad {
            return Ok(number);
        }
        let at_home = self.parse_national(digits);
        match self.strictness {
            PhoneStrictness::Possible => {
                at_home.or_else(|why| self.parse_unchanged_digits(digits).ok_or(why))
            }
            PhoneStrictness::Valid => at_home,
        }
    }

    /// The number behind the most usual spellings of a handset in this region, `0912…`, `+98912…` and `0098912…`, where
    /// each can mean nothing else: the same that the library reads, at a tenth of the price. None leaves it to the
    /// library.
    fn parse_common_spelling(&self, digits: &str) -> Option<String> {
        if self.strictness != PhoneStrictness::Possible {
            return None;
        }
        let region = DATABASE.by_id(self.region.as_ref())?;
        let has_plain_prefixes = region.national_prefix() == Some("0")
            && region.national_prefix_for_parsing().is_none()
            && region.international_prefix()?.as_str() == "00";
        let mut number = format!("+{}", region.country_code());
        let abroad = digits.strip_prefix('+').or_else(|| digits.strip_prefix("00"));
        let national = match abroad {
            Some(whole) => whole.strip_prefix(&number[1..])?,
            None => digits.strip_prefix('0')?,
        };
        let length = u16::try_from(national.len()).ok()?;
        let kinds = region.descriptors();
        let shortest = kinds.general().possible_length().first();
        let fits = kinds.mobile()?.possible_length().contains(&length)
            && shortest.is_none_or(|shortest| *shortest <= length);
        number.push_str(national);
        (has_plain_prefixes && fits && !national.starts_with('0')).then_some(number)
    }

    /// Reads a number without any mark of another country. The library takes the country's own code off every
    /// number that begins with it, so a number that is valid with these digits is looked for first.
    fn parse_national(&self, digits: &str) -> Result<String, AddressError> {
        let code = DATABASE.by_id(self.region.as_ref()).map(Metadata::country_code);
        let code = code.ok_or(AddressError::InvalidFormat)?.to_string();
        if digits.starts_with(&code) {
            let strictly = Self {
                strictness: PhoneStrictness::Valid,
                ..*self
            };
            if let Ok(number) = strictly.parse_and_check(None, &format!("+{code}{digits}")) {
                return Ok(number);
            }
        }
        self.parse_and_check(Some(self.region), digits)
    }

    /// Reads the digits with the library and judges what it read.
    fn parse_and_check(&self, region: Option<country::Id>, digits: &str) -> Result<String, AddressError> {
        let number = phonenumber::parse(region, digits).map_err(|_| AddressError::InvalidFormat)?;
        let code = number.code().value();
        let national = number.national().to_string();
        if !has_plausible_length(code, national.len()) {
            return Err(AddressError::InvalidFormat);
        }
        if self.strictness == PhoneStrictness::Valid && !number.is_valid() {
            return Err(AddressError::UnassignedNumber);
        }
        Ok(format!("+{code}{national}"))
    }

    /// What follows the prefix that is dialled in this region for calls abroad (`00`).
    fn after_international_prefix<'a>(&self, digits: &'a str) -> Option<&'a str> {
        let region = DATABASE.by_id(self.region.as_ref())?;
        let found = region.international_prefix()?.find(digits)?;
        (found.start() == 0).then(|| &digits[found.end()..])
    }

    /// The digits as a number of this region, zeros at the beginning included: a plausible length is enough.
    fn parse_unchanged_digits(&self, digits: &str) -> Option<String> {
        let code = DATABASE.by_id(self.region.as_ref())?.country_code();
        has_plausible_length(code, digits.len()).then(|| format!("+{code}{digits}"))
    }
}

/// Whether some region with that country code has numbers of that many digits.
fn has_plausible_length(code: u16, digits: usize) -> bool {
    let Ok(digits) = u16::try_from(digits) else {
        return false;
    };
    let regions = DATABASE.by_code(&code).unwrap_or_default();
    let takes = |region: &Metadata| {
        let kinds = MESSAGING_NUMBER_TYPES
            .iter()
            .filter_map(|kind| region.descriptors().get(*kind));
        kinds
            .into_iter()
            .any(|kind| kind.possible_length().contains(&digits))
    };
    regions.into_iter().any(takes)
}

/// The number without separators, in Latin digits, with at most one `+` in front.
fn normalize_digits(typed: &str) -> Result<Cow<'_, str>, AddressError> {
    let digits = typed.strip_prefix('+').unwrap_or(typed);
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain && typed.len() <= PHONE_CHARS_MAX {
        return Ok(Cow::Borrowed(typed));
    }
    if typed.chars().nth(PHONE_CHARS_MAX).is_some() {
        return Err(AddressError::TooLong);
    }
    let mut plain = String::with_capacity(typed.len());
    for letter in typed.trim().chars() {
        match letter {
            '0'..='9' => plain.push(letter),
            '+' | '\u{FF0B}' if plain.is_empty() => plain.push('+'),
            _ if is_separator(letter) => {}
            _ => plain.push(latin_digit(letter).ok_or(AddressError::InvalidCharacter)?),
        }
    }
    if plain.is_empty() {
        return Err(AddressError::Empty);
    }
    Ok(Cow::Owned(plain))
}

/// Blanks, dashes, brackets, dots and slashes, and the invisible marks that come along when text that runs
/// from right to left is copied.
fn is_separator(letter: char) -> bool {
    matches!(
        letter,
        ' ' | '-' | '.' | '(' | ')' | '[' | ']' | '/' | '\u{A0}' | '\u{2212}'
            | '\u{200B}'..='\u{200F}' | '\u{2010}'..='\u{2015}' | '\u{202A}'..='\u{202F}' | '\u{2060}'..='\u{2069}'
    )
}

/// The Latin digit for a Persian, Arabic or full-width one.
fn latin_digit(letter: char) -> Option<char> {
    let zero = match letter {
        '\u{6F0}'..='\u{6F9}' => 0x6F0,
        '\u{660}'..='\u{669}' => 0x660,
        '\u{FF10}'..='\u{FF19}' => 0xFF10,
        _ => return None,
    };
    char::from_digit(u32::from(letter) - zero, 10)
}

#[cfg(test)]
mod tests;
