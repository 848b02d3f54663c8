//! Who messages come from, and how the message centre is told what kind of name that is.
//!
//! A number, a short code or a word: the type follows from how it is written, unless the settings say otherwise.

use super::settings::SmppSettings;

/// The sender as it goes on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceAddress {
    pub ton: u8,
    pub npi: u8,
    /// Without the zero at its end.
    pub address: String,
}

/// From so many digits on it is a number with its country code, below a short code.
const INTERNATIONAL_DIGITS_MIN: usize = 9;

impl SourceAddress {
    /// Reads `from`, `from_ton` and `from_npi`.
    pub fn parse(settings: &SmppSettings) -> Result<Self, String> {
        let text = settings.from.trim();
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let (ton, npi) = if !is_number {
            (5, 0)
        } else if text.starts_with('+') || digits.len() >= INTERNATIONAL_DIGITS_MIN {
            (1, 1)
        } else {
            (0, 0)
        };
        let longest = if is_number { 20 } else { 11 };
        let plain = text.bytes().all(|byte| (b' '..0x7F).contains(&byte));
        let address = if is_number { digits } else { text };
        if address.is_empty() || address.len() > longest || !plain {
            return Err(
                "from: must be a number, a short code, or up to 11 plain letters and digits".to_owned(),
            );
        }
        Ok(Self {
            ton: settings.from_ton.unwrap_or(ton),
            npi: settings.from_npi.unwrap_or(npi),
            address: address.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    #[test]
    fn the_type_of_a_sender_follows_from_how_it_is_written() {
        for (from, ton, npi, address) in [
            ("Acme", 5, 0, "Acme"),
            ("Acme 24", 5, 0, "Acme 24"),
            ("+98300012345", 1, 1, "98300012345"),
            ("98300012345", 1, 1, "98300012345"),
            ("30001", 0, 0, "30001"),
        ] {
            let read = SourceAddress::parse(&settings(&format!("from = \"{from}\""))).unwrap();
            let address = address.to_owned();
            assert_eq!(read, SourceAddress { ton, npi, address }, "{from}");
        }
        let own = settings("from = \"30001\"\nfrom_ton = 3\nfrom_npi = 9");
        assert_eq!(
            SourceAddress::parse(&own).map(|own| (own.ton, own.npi)),
            Ok((3, 9))
        );
    }

    #[test]
    fn a_sender_that_cannot_go_on_the_wire_is_refused() {
        for from in [
            "",
            "TwelveLetter",
            "Gr\u{fc}n",
            "a\\u0000b",
            "123456789012345678901",
        ] {
            let table = super::super::tests::settings_table(&format!("from = \"{from}\""));
            let error = SmppSettings::read(table).unwrap_err().to_string();
            assert!(error.contains("from:"), "{error}");
        }
    }
}
