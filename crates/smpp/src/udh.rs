//! The user data header (UDH) in front of the text of a message part.
//!
//! Only the concatenation header with an 8-bit reference is written; a received header is skipped, not parsed.

/// Bit of `esm_class` that marks a text with a user data header (UDHI).
pub const ESM_CLASS_UDHI: u8 = 0x40;

/// Size of a concatenation header with an 8-bit reference, in octets.
pub const CONCATENATION_HEADER_BYTES: usize = 6;

/// Returns the header of part `number` (from 1) of `total`; all parts of one message have the same `reference`.
pub fn concatenation_header(reference: u8, total: u8, number: u8) -> [u8; CONCATENATION_HEADER_BYTES] {
    [5, 0, 3, reference, total, number]
}

/// Returns the text of a part without its header; empty when the header claims to be longer than the part.
pub fn strip_header(esm_class: u8, octets: &[u8]) -> &[u8] {
    match octets.split_first() {
        Some((length, rest)) if esm_class & ESM_CLASS_UDHI != 0 => {
            rest.get(usize::from(*length)..).unwrap_or_default()
        }
        _ => octets,
    }
}
