//! Tests of `submit_sm` encoding.

use proptest::prelude::*;

use super::*;
use crate::testing::hex;
use postrider_core::clock::from_millis;

const NOW_MS: i64 = 1_700_000_000_000;
const MINUTE_MS: i64 = 60_000;
const PHONE: &str = "+989121234567";

fn options() -> SubmitOptions {
    SubmitOptions {
        source: SourceAddress::parse("Acme", None, None).unwrap(),
        service_type: String::new(),
        dest_ton: 1,
        dest_npi: 1,
        wants_receipts: true,
        validity_format: ValidityFormat::Relative,
        default_alphabet: DefaultAlphabet::Gsm,
    }
}

fn options_without_validity() -> SubmitOptions {
    SubmitOptions { validity_format: ValidityFormat::None, ..options() }
}

fn encode(options: SubmitOptions, body: &str, minutes: i64) -> Vec<Vec<u8>> {
    let expires_at = from_millis(NOW_MS + minutes * MINUTE_MS);
    SubmitEncoder::new(options).encode(PHONE, body, expires_at, 0xA7, from_millis(NOW_MS), None).unwrap()
}

#[test]
fn a_plain_text_is_encoded_as_the_reference_shows() {
    let expected = "00050041636d6500010139383931323132333435363700000000003030303030 \
                    3030303130303030303052000100000011596f757220636f6465206973203437 3131";
    assert_eq!(encode(options(), "Your code is 4711", 10), [hex(expected)]);
}

#[test]
fn a_persian_text_is_encoded_as_the_reference_shows() {
    let expected = "00050041636d6500010139383931323132333435363700000000000001000800 \
                    1806a9062f0020063406450627003a002006f406f706f106f1";
    assert_eq!(encode(options_without_validity(), "کد شما: ۴۷۱۱", 10), [hex(expected)]);
}

#[test]
fn a_long_text_is_split_into_parts_with_a_header() {
    let parts = encode(options_without_validity(), &"ب".repeat(100), 10);
    let ends: Vec<(u8, &[u8])> = parts.iter().map(|part| (part[32], &part[33..39])).collect();
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[0][23], ESM_CLASS_UDHI, "esm_class");
    assert_eq!(ends[0], (140, &[5, 0, 3, 0xA7, 2, 1][..]));
    assert_eq!(ends[1], (72, &[5, 0, 3, 0xA7, 2, 2][..]));
}

#[test]
fn the_validity_period_is_written_in_the_configured_format() {
    let validity_period = |validity_format, minutes| {
        let options = SubmitOptions { validity_format, ..options() };
        let body = encode(options, "a", minutes).remove(0);
        String::from_utf8_lossy(&body[27..43]).into_owned()
    };
    let relative = |minutes| validity_period(ValidityFormat::Relative, minutes);
    assert_eq!(relative(10), "000000001000000R");
    assert_eq!(relative(24 * 60 + 61), "000001010100000R");
    assert_eq!(relative(90 * 24 * 60), "000031000000000R");
    assert_eq!(relative(-5), "000000000001000R");
    assert_eq!(validity_period(ValidityFormat::Absolute, 10), "231114222320000+");
}

#[test]
fn an_smsc_without_the_gsm_alphabet_gets_latin1_or_ucs2() {
    let parts_and_coding = |text: &str| {
        let options =
            SubmitOptions { default_alphabet: DefaultAlphabet::Latin1, ..options_without_validity() };
        let parts = encode(options, text, 10);
        (parts.len(), parts[0][30])
    };
    assert_eq!(parts_and_coding("Grün @ ÿ"), (1, 0));
    assert_eq!(parts_and_coding(&"ü".repeat(141)), (2, 0));
    assert_eq!(parts_and_coding("€"), (1, 8));
    // 75 euro signs are one part in the GSM alphabet and two in UCS-2.
    assert_eq!(parts_and_coding(&"€".repeat(75)), (2, 8));
}

#[test]
fn parts_are_counted_in_the_alphabet_that_is_used() {
    let part_count = |default_alphabet, text: &str| {
        let options = SubmitOptions { default_alphabet, ..options_without_validity() };
        SubmitEncoder::new(options).part_count(text)
    };
    let text = "a".repeat(150);
    assert_eq!(part_count(DefaultAlphabet::Gsm, &text), 1);
    assert_eq!(part_count(DefaultAlphabet::Latin1, &text), 2);
}

#[test]
fn an_invalid_destination_or_too_many_parts_are_rejected() {
    let encoder = SubmitEncoder::new(options());
    let now = from_millis(NOW_MS);
    for to in ["", "+", "anna@example.org", "+98 912", "+123456789012345678901"] {
        assert_eq!(encoder.encode(to, "a", now, 1, now, None), Err(EncodeError::InvalidDestination), "{to}");
    }
    let error = encoder.encode(PHONE, &"a".repeat(153 * 256), now, 1, now, None);
    assert!(error.unwrap_err().to_string().contains("256 parts"));
}

proptest! {
    #[test]
    fn every_text_fits_its_parts(text in "[a-z€à^س😀\n]{0,400}", is_latin1 in any::<bool>()) {
        let default_alphabet = if is_latin1 { DefaultAlphabet::Latin1 } else { DefaultAlphabet::Gsm };
        for body in encode(SubmitOptions { default_alphabet, ..options() }, &text, 1) {
            prop_assert!(body.len() <= 50 + 159, "{}", body.len());
        }
    }
}
