//! A parcel as the parts that go on the wire, each the body of one submit_sm.
//!
//! Parts are cut where the domain counts them. Knows nothing of sessions.

use std::time::Duration;

use chrono::{Datelike, Timelike};
use rusmpp_core::encode::{Encode, Length};
use rusmpp_core::pdus::borrowed::SubmitSm;
use rusmpp_core::types::borrowed::{COctetString, EmptyOrFullCOctetString, OctetString};
use rusmpp_core::values::borrowed::ServiceType;
use rusmpp_core::values::{DataCoding, EsmClass, Npi, PriorityFlag, RegisteredDelivery, Ton};

use super::alphabet;
use super::settings::{DefaultAlphabet, SmppSettings, ValidityFormat};
use super::source_address::SourceAddress;
use crate::OutboundMessage;
use postrider_core::clock::Timestamp;
use postrider_core::text_parts::split_parts;

/// A message of several parts says so in a header in front of each; it counts parts in one octet.
const PARTS_MAX: usize = 255;

/// What its header takes from a part.
const UDH_BYTES: usize = 6;

/// esm_class: a header stands in front of the text.
const ESM_CLASS_UDHI: u8 = 0x40;

/// registered_delivery: a receipt at the end, good or bad.
const REGISTERED_DELIVERY_RECEIPT: u8 = 0x01;

/// The longest interval that is written, in days; many message centres know no longer one.
const VALIDITY_DAYS_MAX: u64 = 31;

/// Makes bodies the way one account needs them.
pub(super) struct SubmitEncoder {
    source: SourceAddress,
    /// With the zero at its end, as the codec wants it; the service type likewise.
    source_addr: Vec<u8>,
    service_type: Vec<u8>,
    dest_ton_npi: (u8, u8),
    /// Whether a receipt is asked for.
    pub wants_receipts: bool,
    validity_format: ValidityFormat,
    default_alphabet: DefaultAlphabet,
}

/// A text in octets.
struct EncodedText {
    data_coding: u8,
    parts: Vec<Vec<u8>>,
}

impl SubmitEncoder {
    /// Reads the settings.
    pub fn new(settings: &SmppSettings) -> Result<Self, String> {
        let sender = SourceAddress::parse(settings)?;
        Ok(Self {
            source_addr: c_octet_string(&sender.address),
            source: sender,
            service_type: c_octet_string(&settings.service_type),
            dest_ton_npi: (settings.to_ton, settings.to_npi),
            wants_receipts: settings.receipts,
            validity_format: settings.validity_period,
            default_alphabet: settings.default_alphabet,
        })
    }

    /// The bodies, in order. `mark` tells the parts of one message from those of the next. The error says why the
    /// message can never be sent like this.
    pub fn encode(&self, parcel: &OutboundMessage, mark: u8, now: Timestamp) -> Result<Vec<Vec<u8>>, String> {
        let digits = parcel.to.strip_prefix('+').unwrap_or(&parcel.to);
        let is_number = (1..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err("the address is no phone number".to_owned());
        }
        let text = self.encode_text(&parcel.body);
        let count = text.parts.len();
        if count > PARTS_MAX {
            return Err(format!("the message has {count} parts; {PARTS_MAX} is the most"));
        }
        let until = self.validity_period(parcel.expires_at, now);
        let to = c_octet_string(digits);
        let mut bodies = Vec::with_capacity(count);
        for (index, octets) in text.parts.iter().enumerate() {
            let body = if count == 1 {
                self.encode_submit_sm(&to, &until, 0, text.data_coding, octets)
            } else {
                let number = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
                let mut whole = vec![5, 0, 3, mark, number(count), number(index + 1)];
                whole.extend(octets);
                self.encode_submit_sm(&to, &until, ESM_CLASS_UDHI, text.data_coding, &whole)
            };
            bodies.push(body.ok_or("the message cannot be written as submit_sm")?);
        }
        Ok(bodies)
    }

    fn encode_text(&self, body: &str) -> EncodedText {
        if self.default_alphabet == DefaultAlphabet::Latin1
            && let Some(octets) = alphabet::encode_latin1(body)
        {
            // An octet is an octet there: 140 alone, 134 behind a header.
            let parts = if octets.len() <= 140 {
                vec![octets]
            } else {
                octets.chunks(140 - UDH_BYTES).map(<[u8]>::to_vec).collect()
            };
            return EncodedText {
                data_coding: 0,
                parts,
            };
        }
        let pieces = split_parts(body);
        let septets = || -> Option<Vec<Vec<u8>>> {
            if self.default_alphabet == DefaultAlphabet::Latin1 {
                return None;
            }
            pieces.iter().map(|piece| alphabet::encode_gsm7(piece)).collect()
        };
        match septets() {
            Some(parts) => EncodedText {
                data_coding: 0,
                parts,
            },
            None => EncodedText {
                data_coding: 8,
                parts: split_ucs2(body, &pieces),
            },
        }
    }

    fn encode_submit_sm(
        &self,
        to: &[u8],
        until: &[u8],
        esm_class: u8,
        coding: u8,
        octets: &[u8],
    ) -> Option<Vec<u8>> {
        let registered = if self.wants_receipts {
            REGISTERED_DELIVERY_RECEIPT
        } else {
            0
        };
        let pdu: SubmitSm<'_, 0> = SubmitSm::new(
            ServiceType::new(COctetString::new(&self.service_type).ok()?),
            Ton::from(self.source.ton),
            Npi::from(self.source.npi),
            COctetString::new(&self.source_addr).ok()?,
            Ton::from(self.dest_ton_npi.0),
            Npi::from(self.dest_ton_npi.1),
            COctetString::new(to).ok()?,
            EsmClass::from(esm_class),
            0,
            PriorityFlag::default(),
            EmptyOrFullCOctetString::empty(),
            EmptyOrFullCOctetString::new(until).ok()?,
            RegisteredDelivery::from(registered),
            rusmpp_core::values::ReplaceIfPresentFlag::default(),
            DataCoding::from(coding),
            0,
            OctetString::new(octets).ok()?,
            Default::default(),
        );
        let mut body = vec![0; pdu.length()];
        let written = pdu.encode(&mut body);
        body.truncate(written);
        Some(body)
    }

    /// validity_period, with the zero at its end.
    fn validity_period(&self, expires_at: Timestamp, now: Timestamp) -> Vec<u8> {
        let left = (expires_at - now).to_std().unwrap_or_default();
        c_octet_string(&match self.validity_format {
            ValidityFormat::None => String::new(),
            ValidityFormat::Relative => relative_time(left),
            ValidityFormat::Absolute => absolute_time(expires_at),
        })
    }
}

fn c_octet_string(text: &str) -> Vec<u8> {
    let mut octets = text.as_bytes().to_vec();
    octets.push(0);
    octets
}

/// The pieces in UTF-16, cut anew where the domain counted septets but the message centre has no GSM alphabet.
fn split_ucs2(body: &str, pieces: &[String]) -> Vec<Vec<u8>> {
    let whole: Vec<Vec<u8>> = pieces.iter().map(|piece| alphabet::encode_ucs2(piece)).collect();
    let most = if whole.len() == 1 { 140 } else { 140 - UDH_BYTES };
    if whole.iter().all(|part| part.len() <= most) {
        return whole;
    }
    let mut parts = vec![Vec::new()];
    for letter in body.chars() {
        let units = alphabet::encode_ucs2(letter.encode_utf8(&mut [0; 4]));
        let last = parts
            .last_mut()
            .filter(|part| part.len() + units.len() <= 140 - UDH_BYTES);
        match last {
            Some(part) => part.extend(units),
            None => parts.push(units),
        }
    }
    parts
}

/// `YYMMDDhhmmss000R`: at least a second, at most 31 days.
fn relative_time(left: Duration) -> String {
    let seconds = left.as_secs().clamp(1, VALIDITY_DAYS_MAX * 86_400);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    format!(
        "0000{days:02}{:02}{:02}{:02}000R",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

/// `YYMMDDhhmmss000+`, in UTC.
fn absolute_time(at: Timestamp) -> String {
    format!(
        "{:02}{:02}{:02}{:02}{:02}{:02}000+",
        at.year().rem_euclid(100),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{hex, settings};
    use super::*;
    use crate::testing::conformance;
    use postrider_core::clock::from_millis;

    const MINUTE: i64 = 60_000;

    fn now() -> Timestamp {
        from_millis(1_700_000_000_000)
    }

    fn parcel(to: &str, body: &str, minutes: i64) -> OutboundMessage {
        OutboundMessage {
            to: to.to_owned(),
            body: body.to_owned(),
            expires_at: from_millis(1_700_000_000_000 + minutes * MINUTE),
            ..conformance::sample_message()
        }
    }

    fn encoded_bodies(more: &str, parcel: &OutboundMessage) -> Vec<Vec<u8>> {
        SubmitEncoder::new(&settings(more))
            .unwrap()
            .encode(parcel, 0xA7, now())
            .unwrap()
    }

    #[test]
    fn a_plain_text_is_written_as_the_reference_shows() {
        let shown = "00050041636d6500010139383931323132333435363700000000003030303030 \
                     3030303130303030303052000100000011596f757220636f6465206973203437 3131";
        let parcel = parcel("+989121234567", "Your code is 4711", 10);
        assert_eq!(encoded_bodies("", &parcel), [hex(shown)]);
    }

    #[test]
    fn a_persian_text_is_written_as_the_reference_shows() {
        let shown = "00050041636d6500010139383931323132333435363700000000000001000800 \
                     1806a9062f0020063406450627003a002006f406f706f106f1";
        let parcel = parcel("+989121234567", "کد شما: ۴۷۱۱", 10);
        assert_eq!(encoded_bodies("validity = \"none\"", &parcel), [hex(shown)]);
    }

    #[test]
    fn a_long_text_is_cut_into_parts_with_a_header() {
        let text = "ب".repeat(100);
        let parts = encoded_bodies("validity = \"none\"", &parcel("+989121234567", &text, 10));
        let ends: Vec<(u8, &[u8])> = parts.iter().map(|part| (part[32], &part[33..39])).collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0][23], ESM_CLASS_UDHI, "esm_class");
        assert_eq!(ends[0], (140, &[5, 0, 3, 0xA7, 2, 1][..]));
        assert_eq!(ends[1], (72, &[5, 0, 3, 0xA7, 2, 2][..]));
    }

    #[test]
    fn the_end_of_a_message_is_written_as_the_centre_wants_it() {
        let at = |more: &str, minutes| {
            let body = encoded_bodies(more, &parcel("+989121234567", "a", minutes)).remove(0);
            String::from_utf8_lossy(&body[27..43]).into_owned()
        };
        assert_eq!(at("", 10), "000000001000000R");
        assert_eq!(at("", 24 * 60 + 61), "000001010100000R");
        assert_eq!(at("", 90 * 24 * 60), "000031000000000R");
        assert_eq!(at("", -5), "000000000001000R");
        assert_eq!(at("validity = \"absolute\"", 10), "231114222320000+");
    }

    #[test]
    fn a_centre_without_the_gsm_alphabet_gets_latin_or_utf_16() {
        let more = "alphabet = \"latin1\"\nvalidity = \"none\"";
        let coding = |text: &str| {
            let parts = encoded_bodies(more, &parcel("+989121234567", text, 10));
            (parts.len(), parts[0][30])
        };
        assert_eq!(coding("Grün @ ÿ"), (1, 0));
        assert_eq!(coding(&"ü".repeat(141)), (2, 0));
        assert_eq!(coding("€"), (1, 8));
        // 150 characters are one part in the GSM alphabet, and three in UTF-16.
        assert_eq!(coding(&"€".repeat(75)), (2, 8));
    }

    #[test]
    fn what_is_no_number_or_too_long_is_never_sent() {
        let form = SubmitEncoder::new(&settings("")).unwrap();
        for to in ["", "+", "anna@example.org", "+98 912", "+123456789012345678901"] {
            assert!(form.encode(&parcel(to, "a", 1), 1, now()).is_err(), "{to}");
        }
        let long = parcel("+989121234567", &"a".repeat(153 * 256), 1);
        assert!(form.encode(&long, 1, now()).unwrap_err().contains("256 parts"));
    }

    proptest! {
        #[test]
        fn every_text_fits_its_parts(text in "[a-z€à^س😀\n]{0,400}", latin1 in any::<bool>()) {
            let more = if latin1 { "alphabet = \"latin1\"" } else { "" };
            for body in encoded_bodies(more, &parcel("+989121234567", &text, 1)) {
                prop_assert!(body.len() <= 50 + 159, "{}", body.len());
            }
        }
    }
}
