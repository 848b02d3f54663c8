//! Test support of this crate.
//!
//! Compiled for its unit tests only.

/// Returns the octets that `text` writes in hexadecimal; everything but digits is ignored.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    data_encoding::HEXLOWER_PERMISSIVE.decode(&digits).unwrap()
}
