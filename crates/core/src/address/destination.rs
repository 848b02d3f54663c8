//! Which phone numbers may be sent to: allowed countries, and numbers that cost more than an ordinary one.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberType};

use super::error::AddressError;
use super::phone::PhoneRegion;

/// Rules for the phone numbers that messages are sent to.
#[derive(Clone, Copy, Debug, Default)]
pub struct DestinationRules<'a> {
    /// The allowed regions; an empty list allows all. A number must be in a region of both lists.
    pub countries: [&'a [PhoneRegion]; 2],
    /// True if premium-rate and shared-cost numbers may be sent to: their owner earns money with each message.
    pub allows_premium: bool,
    /// The allowed beginnings of numbers in E.164, such as `+98912`; an empty list allows all.
    pub prefixes: &'a [String],
}

impl DestinationRules<'_> {
    /// Checks a phone number in E.164.
    ///
    /// A number that its numbering plan has not assigned is treated as a number of the main region of its country code.
    /// A list of countries therefore also refuses new numbers that the tables of the library lack.
    ///
    /// # Errors
    /// The number is a premium-rate or shared-cost number, or its beginning or region is not allowed.
    pub fn check_phone(&self, number: &str) -> Result<(), AddressError> {
        if !self.prefixes.is_empty() && !self.prefixes.iter().any(|prefix| number.starts_with(prefix)) {
            return Err(AddressError::PrefixNotAllowed);
        }
        if self.allows_premium && self.countries.iter().all(|regions| regions.is_empty()) {
            return Ok(());
        }
        let number = PHONE_NUMBER_UTIL.parse(number, None).map_err(|_| AddressError::UnusableKind)?;
        let region = number
            .get_region_code()
            .or_else(|| PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code));
        let is_allowed = |regions: &&[PhoneRegion]| {
            regions.is_empty() || regions.iter().any(|allowed| Some(allowed.region()) == region)
        };
        if !self.countries.iter().all(is_allowed) {
            return Err(AddressError::CountryNotAllowed);
        }
        let is_premium =
            || matches!(number.get_type(), PhoneNumberType::PremiumRate | PhoneNumberType::SharedCost);
        if !self.allows_premium && is_premium() {
            return Err(AddressError::PremiumNumber);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
