//! Phone numbers as Kavenegar takes them.
//!
//! They come here in E.164, read and checked; never guesses.

/// `+989121234567` as `09121234567`; none for any other number.
pub(super) fn to_national_mobile(number: &str) -> Option<String> {
    let national = number.strip_prefix("+98")?;
    let is_mobile = national.len() == 10
        && national.starts_with('9')
        && national.bytes().all(|byte| byte.is_ascii_digit());
    is_mobile.then(|| format!("0{national}"))
}

/// The same, and numbers of other countries with `00` in front.
pub(super) fn to_template_receptor(number: &str) -> String {
    to_national_mobile(number).unwrap_or_else(|| format!("00{}", number.trim_start_matches('+')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mobile_numbers_of_the_country_are_written_as_at_home() {
        assert_eq!(
            to_national_mobile("+989121234567").as_deref(),
            Some("09121234567")
        );
        for number in [
            "+98912123456",
            "+982112345678",
            "+4912345678901",
            "9121234567",
            "",
        ] {
            assert_eq!(to_national_mobile(number), None, "{number}");
        }
        assert_eq!(to_template_receptor("+97412345678"), "0097412345678");
    }
}
