//! Addresses of recipients: kinds, parsing into a normal form, and masking.
//!
//! Phone numbers are normalised to E.164. Parsing checks the form only; whether an address exists is known to its
//! provider.

mod destination;
mod email;
mod error;
mod invisible;
mod kind;
mod mask;
mod parse;
mod phone;

pub use destination::DestinationRules;
pub use error::AddressError;
pub use invisible::is_invisible;
pub use kind::AddressKind;
pub use mask::mask_address;
pub use parse::{guess_address_kind, outgoing_address, parse_address, parse_address_of_kinds};
pub(crate) use phone::latin_digit;
pub use phone::{PhoneRegion, PhoneRules, PhoneStrictness, preload_phone_metadata};
