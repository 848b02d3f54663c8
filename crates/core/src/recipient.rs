//! Who a message is for: an address on a channel, checked and normalised.
//!
//! Phone numbers are kept in E.164 beside the spelling the client used; the phone-number library knows the
//! regions. Nothing here knows whether an address exists: that is a provider's word.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use phonenumber::metadata::DATABASE;
use phonenumber::{Metadata, Type, country};

use super::channel::ConfigName;
pub use super::contact::AddressKind;

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

/// Whether an address may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RecipientStatus {
    /// It may.
    #[default]
    Active,
    /// A provider said that it is dead.
    Inactive,
    /// The person does not want it.
    OptedOut,
}

impl RecipientStatus {
    /// Every standing, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::OptedOut];

    /// The word that stores and faces use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::OptedOut => "opted_out",
        }
    }

    /// Back from the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == word)
    }
}

/// An address on a channel, what is known of it, and who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// On which channel.
    pub channel: ConfigName,
    /// The normalised address.
    pub address: String,
    /// Whether it may be written to.
    pub status: RecipientStatus,
    /// Why.
    pub reason: String,
    /// Who said so: a provider's name or an operator's.
    pub changed_by: String,
    /// When.
    pub changed_at: DateTime<Utc>,
}

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
/// The longest e-mail address, in bytes, and the longest part before its `@` (RFC 5321).
const EMAIL_BYTES_MAX: usize = 254;
const EMAIL_LOCAL_BYTES_MAX: usize = 64;
/// The longest opaque address, in bytes: the longest URL that is safe everywhere.
const OPAQUE_BYTES_MAX: usize = 2_048;

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

/// Reads an address as its channel needs it and gives it back in the one form it is kept in.
pub fn parse_address(kind: AddressKind, typed: &str, rules: &PhoneRules) -> Result<String, AddressError> {
    match kind {
        AddressKind::Phone => rules.parse_phone(typed),
        AddressKind::Email => parse_email(typed),
        AddressKind::Url => parse_url(typed),
        AddressKind::Push | AddressKind::Messenger | AddressKind::Any => parse_opaque(typed),
    }
}

/// Reads an address of which only the channel is known: as the first of the channel's `kinds` that it can be, those
/// that are strict before those that take any text.
pub fn parse_address_of_kinds(
    kinds: &[AddressKind],
    typed: &str,
    rules: &PhoneRules,
) -> Result<(AddressKind, String), AddressError> {
    if let [kind] = kinds {
        return parse_address(*kind, typed, rules).map(|address| (*kind, address));
    }
    let strict_first = [
        AddressKind::Url,
        AddressKind::Email,
        AddressKind::Phone,
        AddressKind::Push,
        AddressKind::Messenger,
        AddressKind::Any,
    ];
    let mut why = AddressError::InvalidFormat;
    for kind in strict_first.into_iter().filter(|kind| kinds.contains(kind)) {
        match parse_address(kind, typed, rules) {
            Ok(address) => return Ok((kind, address)),
            Err(wrong) => why = wrong,
        }
    }
    Err(why)
}

/// What a normalised address most likely is.
pub fn guess_address_kind(address: &str) -> AddressKind {
    let digits = address.strip_prefix('+').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        AddressKind::Phone
    } else if address.starts_with("http://") || address.starts_with("https://") {
        AddressKind::Url
    } else if address.contains('@') {
        AddressKind::Email
    } else {
        AddressKind::Push
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

/// Reads an e-mail address: one `@`, lengths, no blanks. The domain is kept in small letters.
fn parse_email(typed: &str) -> Result<String, AddressError> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Err(AddressError::Empty);
    }
    if typed.len() > EMAIL_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    let odd =
        |letter: char| letter.is_whitespace() || letter.is_control() || "<>()[]\\,;:\"".contains(letter);
    if typed.contains(odd) {
        return Err(AddressError::InvalidCharacter);
    }
    let (local, domain) = typed.split_once('@').ok_or(AddressError::InvalidFormat)?;
    let is_label = |label: &str| {
        let clean = label
            .chars()
            .all(|letter| letter.is_alphanumeric() || letter == '-');
        clean && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    if local.is_empty() || local.len() > EMAIL_LOCAL_BYTES_MAX || !domain.split('.').all(is_label) {
        return Err(AddressError::InvalidFormat);
    }
    Ok(format!("{local}@{}", domain.to_lowercase()))
}

/// Reads a URL: `http` or `https`, a host, no blanks. Scheme and host are kept in small letters.
fn parse_url(typed: &str) -> Result<String, AddressError> {
    let typed = parse_opaque(typed)?;
    if typed.contains(char::is_whitespace) {
        return Err(AddressError::InvalidCharacter);
    }
    let (scheme, rest) = typed.split_once("://").ok_or(AddressError::InvalidFormat)?;
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (format!("{login}@"), host),
        None => (String::new(), authority),
    };
    if !matches!(scheme.as_str(), "http" | "https") || host.is_empty() || host.starts_with(':') {
        return Err(AddressError::InvalidFormat);
    }
    Ok(format!("{scheme}://{login}{}{path}", host.to_lowercase()))
}

/// Reads any text that only the provider understands: not empty, not endless, no control characters.
fn parse_opaque(typed: &str) -> Result<String, AddressError> {
    let typed = typed.trim();
    if typed.is_empty() {
        Err(AddressError::Empty)
    } else if typed.len() > OPAQUE_BYTES_MAX {
        Err(AddressError::TooLong)
    } else if typed.contains(char::is_control) {
        Err(AddressError::InvalidCharacter)
    } else {
        Ok(typed.to_owned())
    }
}

/// The address as logs and pages may show it: `+98912***2222`, `a***@example.org`. Of what is too short to
/// hide anything, or of a shape of its own (a push token, a URL with a secret), only the beginning remains.
pub fn mask_address(address: &str) -> String {
    if let Some((local, domain)) = address.split_once('@')
        && !address.contains('/')
    {
        return format!("{}***@{domain}", first_chars(local, 1));
    }
    let digits = address.strip_prefix('+').unwrap_or(address);
    let is_phone = digits.bytes().all(|byte| byte.is_ascii_digit());
    match address.len() {
        11.. if is_phone => format!(
            "{}***{}",
            &address[..address.len() - 7],
            &address[address.len() - 4..]
        ),
        7.. if is_phone => format!("{}***{}", &address[..3], &address[address.len() - 2..]),
        12.. => format!("{}***", first_chars(address, 4)),
        _ => "***".to_owned(),
    }
}

fn first_chars(text: &str, letters: usize) -> &str {
    text.char_indices()
        .nth(letters)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests;
