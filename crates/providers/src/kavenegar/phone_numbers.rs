//! Phone numbers in Kavenegar's notation.
//!
//! The input is a validated E.164 number.

/// Returns `09121234567` for `+989121234567`, None for a number that is not an Iranian mobile number.
pub(super) fn to_national_mobile(number: &str) -> Option<String> {
    let national = number.strip_prefix("+98")?;
    let is_mobile = national.len() == 10
        && national.starts_with('9')
        && national.bytes().all(|byte| byte.is_ascii_digit());
    is_mobile.then(|| format!("0{national}"))
}

/// Returns the national notation of an Iranian mobile number, and any other number with `00` instead of `+`.
pub(super) fn to_template_receptor(number: &str) -> String {
    to_national_mobile(number).unwrap_or_else(|| format!("00{}", number.trim_start_matches('+')))
}

#[cfg(test)]
mod tests;
