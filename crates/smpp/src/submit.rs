//! Encodes a text message as `submit_sm` bodies, one for each part.
//!
//! A text is split where [`postrider_core::text_parts`] counts its parts, except on an SMSC whose default alphabet is
//! Latin-1. Sessions, sequence numbers and the window are left to [`client`](crate::client).

use std::borrow::Cow;

use std::fmt;
use std::time::Duration;

use rusmpp_core::encode::{Encode, Length};
use rusmpp_core::pdus::borrowed::SubmitSm;
use rusmpp_core::types::borrowed::{COctetString, EmptyOrFullCOctetString, OctetString};
use rusmpp_core::values::borrowed::ServiceType;
use rusmpp_core::values::{
    DataCoding, EsmClass, Npi, PriorityFlag, RegisteredDelivery, ReplaceIfPresentFlag, Ton,
};
use serde::Deserialize;

use crate::alphabet::{self, DATA_CODING_DEFAULT, DATA_CODING_UCS2, DefaultAlphabet};
use crate::source_address::SourceAddress;
use crate::udh::{self, CONCATENATION_HEADER_BYTES, ESM_CLASS_UDHI};
use postrider_core::clock::Timestamp;
use postrider_core::gsm7;
use postrider_core::text_parts::split_parts;

#[cfg(test)]
mod tests;

/// Maximum number of parts, because the concatenation header counts them in one octet.
const PARTS_MAX: u8 = u8::MAX;

/// Maximum digits of a destination; `destination_addr` has 21 octets with the terminating zero.
const DESTINATION_DIGITS_MAX: usize = 20;

/// Size of the text of a single-part message in octets. Text in an 8-bit encoding can fill it completely.
const PART_BYTES_MAX: usize = 140;

/// Size of the text of one of several parts, in octets.
const CONCATENATED_PART_BYTES_MAX: usize = PART_BYTES_MAX - CONCATENATION_HEADER_BYTES;

/// `registered_delivery` value that requests a receipt for the final state, success or failure.
const REGISTERED_DELIVERY_RECEIPT: u8 = 0x01;

/// Maximum relative validity period, in days; many SMSCs reject a longer one.
const VALIDITY_DAYS_MAX: u64 = 31;

/// Format of the `validity_period` field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidityFormat {
    /// Time from now.
    #[default]
    Relative,
    /// Absolute time in UTC.
    Absolute,
    /// Empty: the SMSC applies its default.
    None,
}

/// Settings of [`SubmitEncoder`].
#[derive(Clone, Debug)]
pub struct SubmitOptions {
    /// The sender of the messages.
    pub source: SourceAddress,
    /// `service_type`, at most 5 ASCII characters; empty for the default.
    pub service_type: String,
    /// Type of number of destinations.
    pub dest_ton: u8,
    /// Numbering plan indicator of destinations.
    pub dest_npi: u8,
    /// Request a delivery receipt for each part.
    pub wants_receipts: bool,
    /// Format of the `validity_period` field.
    pub validity_format: ValidityFormat,
    /// Alphabet of `data_coding` 0.
    pub default_alphabet: DefaultAlphabet,
}

/// Reason why a message can never be sent as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The destination is not a phone number.
    InvalidDestination,
    /// The message has too many parts.
    TooManyParts(usize),
    /// A field has a value that `submit_sm` cannot carry.
    InvalidField,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidDestination => out.write_str("invalid phone number: expected 1 to 20 digits"),
            Self::TooManyParts(parts) => write!(out, "message has {parts} parts, the maximum is {PARTS_MAX}"),
            Self::InvalidField => out.write_str("message cannot be encoded as submit_sm"),
        }
    }
}

impl std::error::Error for EncodeError {}

/// Encodes messages of one account.
pub struct SubmitEncoder {
    options: SubmitOptions,
    /// Source address with its terminating zero, as rusmpp requires.
    source_addr: Vec<u8>,
    /// Service type with its terminating zero.
    service_type: Vec<u8>,
}

/// A text split into encoded parts.
struct EncodedText {
    data_coding: u8,
    parts: Vec<Vec<u8>>,
}

/// The fields of a `submit_sm` that all parts of a message share.
struct MessageFields<'a> {
    /// The sender, with its terminating zero.
    source_addr: Cow<'a, [u8]>,
    source_ton: u8,
    source_npi: u8,
    destination_addr: Vec<u8>,
    validity_period: Vec<u8>,
    data_coding: u8,
}

impl SubmitEncoder {
    /// Creates an encoder.
    pub fn new(options: SubmitOptions) -> Self {
        Self {
            source_addr: c_octet_string(&options.source.address),
            service_type: c_octet_string(&options.service_type),
            options,
        }
    }

    /// Returns whether messages request receipts.
    pub fn wants_receipts(&self) -> bool {
        self.options.wants_receipts
    }

    /// Returns the number of parts of a text in the alphabet that is used.
    pub fn part_count(&self, body: &str) -> usize {
        self.encode_text(body).parts.len()
    }

    /// Returns the body of each part, in order. Parts of one message carry the same `reference`. `source` replaces the source
    /// address of the options.
    ///
    /// # Errors
    /// Fails when the message can never be sent as it is.
    pub fn encode(
        &self,
        to: &str,
        body: &str,
        expires_at: Timestamp,
        reference: u8,
        now: Timestamp,
        source: Option<&SourceAddress>,
    ) -> Result<Vec<Vec<u8>>, EncodeError> {
        let digits = to.strip_prefix('+').unwrap_or(to);
        let is_number = (1..=DESTINATION_DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(EncodeError::InvalidDestination);
        }
        let EncodedText { data_coding, parts } = self.encode_text(body);
        let Ok(part_count) = u8::try_from(parts.len()) else {
            return Err(EncodeError::TooManyParts(parts.len()));
        };
        let fields = MessageFields {
            source_addr: match source {
                Some(source) => Cow::Owned(c_octet_string(&source.address)),
                None => Cow::Borrowed(&self.source_addr),
            },
            source_ton: source.unwrap_or(&self.options.source).ton,
            source_npi: source.unwrap_or(&self.options.source).npi,
            destination_addr: c_octet_string(digits),
            validity_period: self.validity_period(expires_at, now),
            data_coding,
        };
        let encode_part = |(part_number, octets): (u8, &Vec<u8>)| {
            if part_count == 1 {
                return self.encode_submit_sm(&fields, 0, octets);
            }
            let header = udh::concatenation_header(reference, part_count, part_number);
            self.encode_submit_sm(&fields, ESM_CLASS_UDHI, &[&header[..], octets].concat())
        };
        let bodies: Option<Vec<_>> = (1..=part_count).zip(&parts).map(encode_part).collect();
        bodies.ok_or(EncodeError::InvalidField)
    }

    fn encode_text(&self, body: &str) -> EncodedText {
        let is_latin1 = self.options.default_alphabet == DefaultAlphabet::Latin1;
        if is_latin1 && let Some(octets) = alphabet::encode_latin1(body) {
            return EncodedText { data_coding: DATA_CODING_DEFAULT, parts: split_octets(octets) };
        }
        let pieces = split_parts(body);
        let septets: Option<Vec<Vec<u8>>> =
            if is_latin1 { None } else { pieces.iter().map(|piece| gsm7::encode(piece)).collect() };
        match septets {
            Some(parts) => EncodedText { data_coding: DATA_CODING_DEFAULT, parts },
            None => EncodedText { data_coding: DATA_CODING_UCS2, parts: split_ucs2(body, &pieces) },
        }
    }

    fn encode_submit_sm(&self, fields: &MessageFields<'_>, esm_class: u8, octets: &[u8]) -> Option<Vec<u8>> {
        let registered_delivery = if self.options.wants_receipts { REGISTERED_DELIVERY_RECEIPT } else { 0 };
        let pdu: SubmitSm<'_, 0> = SubmitSm::new(
            ServiceType::new(COctetString::new(&self.service_type).ok()?),
            Ton::from(fields.source_ton),
            Npi::from(fields.source_npi),
            COctetString::new(&fields.source_addr).ok()?,
            Ton::from(self.options.dest_ton),
            Npi::from(self.options.dest_npi),
            COctetString::new(&fields.destination_addr).ok()?,
            EsmClass::from(esm_class),
            0,
            PriorityFlag::default(),
            EmptyOrFullCOctetString::empty(),
            EmptyOrFullCOctetString::new(&fields.validity_period).ok()?,
            RegisteredDelivery::from(registered_delivery),
            ReplaceIfPresentFlag::default(),
            DataCoding::from(fields.data_coding),
            0,
            OctetString::new(octets).ok()?,
            Default::default(),
        );
        let mut body = vec![0; pdu.length()];
        let written = pdu.encode(&mut body);
        body.truncate(written);
        Some(body)
    }

    /// Returns the `validity_period` field with its terminating zero.
    fn validity_period(&self, expires_at: Timestamp, now: Timestamp) -> Vec<u8> {
        let remaining = (expires_at - now).to_std().unwrap_or_default();
        c_octet_string(&match self.options.validity_format {
            ValidityFormat::None => String::new(),
            ValidityFormat::Relative => relative_time(remaining),
            ValidityFormat::Absolute => absolute_time(expires_at),
        })
    }
}

fn c_octet_string(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// Splits an 8-bit text into parts.
fn split_octets(octets: Vec<u8>) -> Vec<Vec<u8>> {
    if octets.len() <= PART_BYTES_MAX {
        return vec![octets];
    }
    octets.chunks(CONCATENATED_PART_BYTES_MAX).map(<[u8]>::to_vec).collect()
}

/// Encodes the pieces in UCS-2. If the pieces were split by septets and are too long in UCS-2, splits the body again.
fn split_ucs2(body: &str, pieces: &[String]) -> Vec<Vec<u8>> {
    let parts: Vec<Vec<u8>> = pieces.iter().map(|piece| alphabet::encode_ucs2(piece)).collect();
    let bytes_max = if parts.len() == 1 { PART_BYTES_MAX } else { CONCATENATED_PART_BYTES_MAX };
    if parts.iter().all(|part| part.len() <= bytes_max) {
        return parts;
    }
    let mut parts = vec![Vec::new()];
    for character in body.chars() {
        let octets = alphabet::encode_ucs2(character.encode_utf8(&mut [0; 4]));
        let has_room = |part: &&mut Vec<u8>| part.len() + octets.len() <= CONCATENATED_PART_BYTES_MAX;
        match parts.last_mut().filter(has_room) {
            Some(part) => part.extend(octets),
            None => parts.push(octets),
        }
    }
    parts
}

/// Formats a relative time as `YYMMDDhhmmss000R`, at least one second and at most 31 days.
fn relative_time(remaining: Duration) -> String {
    let seconds = remaining.as_secs().clamp(1, VALIDITY_DAYS_MAX * 86_400);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("0000{days:02}{hours:02}{minutes:02}{:02}000R", seconds % 60)
}

/// Formats an absolute time in UTC as `YYMMDDhhmmss000+`.
fn absolute_time(at: Timestamp) -> String {
    at.format("%y%m%d%H%M%S000+").to_string()
}
