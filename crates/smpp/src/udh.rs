//! The user data header (UDH) in front of the text of a message part, and what it says about concatenation.
//!
//! Only the header with an 8-bit reference is written. Received headers may hold other elements, which are skipped.

/// Bit of `esm_class` that marks a text with a user data header (UDHI).
pub const ESM_CLASS_UDHI: u8 = 0x40;

/// Size of a concatenation header with an 8-bit reference, in octets.
pub const CONCATENATION_HEADER_BYTES: usize = 6;

/// Identifiers of the header elements for concatenation, with an 8-bit and a 16-bit reference.
const ELEMENT_REFERENCE_8: u8 = 0x00;
const ELEMENT_REFERENCE_16: u8 = 0x08;

/// The form in which a part names its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReferenceKind {
    /// Header element with an 8-bit reference.
    Udh8,
    /// Header element with a 16-bit reference.
    Udh16,
    /// Optional parameters `sar_*`.
    Sar,
}

/// The place of a part within its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concatenation {
    /// Form of the reference; references of different forms are independent.
    pub kind: ReferenceKind,
    /// Reference that all parts of the message share.
    pub reference: u16,
    /// Number of parts.
    pub total: u8,
    /// Number of this part, from 1.
    pub number: u8,
}

impl Concatenation {
    /// Returns the place of a part; `None` when the message has one part only or the number is out of range.
    pub fn new(kind: ReferenceKind, reference: u16, total: u8, number: u8) -> Option<Self> {
        (total > 1 && (1..=total).contains(&number)).then_some(Self { kind, reference, total, number })
    }
}

/// Returns the header of part `number` (from 1) of `total`; all parts of one message have the same `reference`.
pub fn concatenation_header(reference: u8, total: u8, number: u8) -> [u8; CONCATENATION_HEADER_BYTES] {
    [5, 0, 3, reference, total, number]
}

/// Returns the text of a part without its header; empty when the header claims to be longer than the part.
pub fn strip_header(esm_class: u8, octets: &[u8]) -> &[u8] {
    split_header(esm_class, octets).1
}

/// Returns the concatenation that the header of a part states.
pub fn find_concatenation(esm_class: u8, octets: &[u8]) -> Option<Concatenation> {
    let mut rest = split_header(esm_class, octets).0;
    while let [identifier, length, tail @ ..] = rest {
        let value = tail.get(..usize::from(*length))?;
        match (*identifier, value) {
            (ELEMENT_REFERENCE_8, [reference, total, number]) => {
                return Concatenation::new(ReferenceKind::Udh8, u16::from(*reference), *total, *number);
            }
            (ELEMENT_REFERENCE_16, [high, low, total, number]) => {
                let reference = u16::from_be_bytes([*high, *low]);
                return Concatenation::new(ReferenceKind::Udh16, reference, *total, *number);
            }
            _ => {}
        }
        rest = &tail[usize::from(*length)..];
    }
    None
}

/// Splits octets into the elements of the header, without its length, and the text.
///
/// Some SMSCs lose the UDHI bit. Octets that form a concatenation header at the start are therefore treated as a header
/// without the bit too, because no text begins with them by accident.
fn split_header(esm_class: u8, octets: &[u8]) -> (&[u8], &[u8]) {
    let is_unmarked_header = match octets {
        [5, ELEMENT_REFERENCE_8, 3, _, total, number, ..]
        | [6, ELEMENT_REFERENCE_16, 4, _, _, total, number, ..] => {
            *total > 1 && (1..=*total).contains(number)
        }
        _ => false,
    };
    match octets.split_first() {
        Some((length, rest)) if esm_class & ESM_CLASS_UDHI != 0 || is_unmarked_header => {
            rest.split_at_checked(usize::from(*length)).unwrap_or_default()
        }
        _ => (&[], octets),
    }
}
