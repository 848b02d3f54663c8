//! What a stand-in for providers may be told on the command line: which receipts, after how long, and where to.
//!
//! The ranges stand here once. How it plays is `sandbox/`'s business.

use std::time::Duration;

use super::mock_sender::parse_duration_in_range;

/// How long after a message was taken its receipt may come, at least and at most.
const RECEIPT_DELAY_RANGE: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(3_600));

/// Shares that add up to this little more than 1 were meant to add up to 1.
const SHARE_ROUNDING_MAX: f64 = 1e-9;

/// The shares of what receipts say; the rest of the messages gets none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SandboxReceiptShares {
    /// It has arrived.
    pub delivered: f64,
    /// It has not.
    pub failed: f64,
    /// There is no such number.
    pub invalid: f64,
}

/// How long after a message was taken its receipt comes: `2s`, or a bare number of seconds.
pub fn parse_receipt_delay(text: &str) -> Result<Duration, String> {
    parse_duration_in_range(text, "a receipt's delay", RECEIPT_DELAY_RANGE)
}

/// Shares of receipts: `delivered=0.9,failed=0.08,invalid=0.02`; what is left out has none.
pub fn parse_receipt_shares(text: &str) -> Result<SandboxReceiptShares, String> {
    let mut shares = SandboxReceiptShares::default();
    for part in text.split(',').map(str::trim) {
        let (word, number) = part.split_once('=').unwrap_or((part, ""));
        let share = match word.trim() {
            "delivered" => &mut shares.delivered,
            "failed" => &mut shares.failed,
            "invalid" => &mut shares.invalid,
            _ => {
                return Err(format!(
                    "\"{part}\" is no share of receipts; write delivered=0.9,failed=0.08,invalid=0.02"
                ));
            }
        };
        let read = number.trim().parse::<f64>().ok();
        *share = read
            .filter(|read| (0.0..=1.0).contains(read))
            .ok_or_else(|| format!("{word}: a share is a number from 0 to 1, such as 0.9"))?;
    }
    if shares.delivered + shares.failed + shares.invalid > 1.0 + SHARE_ROUNDING_MAX {
        return Err("the shares of receipts are from 0 to 1, also together".to_owned());
    }
    Ok(shares)
}

/// Where a gateway is: `http://HOST:PORT`, without a slash at its end.
pub fn parse_gateway_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text.trim()).ok();
    let is_bare = |url: &reqwest::Url| {
        url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare(url))
        .map(|url| url.as_str().trim_end_matches('/').to_owned())
        .ok_or_else(|| "write where the gateway is, as http://HOST:PORT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_may_leave_some_without_a_receipt_and_never_come_to_more_than_all() {
        let usual = parse_receipt_shares("delivered=0.9,failed=0.08,invalid=0.02").unwrap();
        assert_eq!((usual.delivered, usual.failed, usual.invalid), (0.9, 0.08, 0.02));
        assert_eq!(parse_receipt_shares("failed=1").unwrap().delivered, 0.0);
        for text in [
            "delivered=1.1",
            "delivered=-0.1",
            "failed=NaN",
            "delivered",
            "delivered=0.9,failed=0.2",
        ] {
            assert!(
                parse_receipt_shares(text).unwrap_err().contains("from 0 to 1"),
                "{text}"
            );
        }
        assert!(
            parse_receipt_shares("lost=0.5")
                .unwrap_err()
                .contains("delivered=0.9")
        );
    }

    #[test]
    fn delays_and_places_are_refused_with_what_to_write() {
        assert_eq!(parse_receipt_delay("2s"), Ok(Duration::from_secs(2)));
        assert!(parse_receipt_delay("2h").unwrap_err().contains("from 0s to 1h"));
        assert_eq!(
            parse_gateway_url("http://127.0.0.1:8080/"),
            Ok("http://127.0.0.1:8080".to_owned())
        );
        for text in [
            "127.0.0.1:8080",
            "ftp://a",
            "http://",
            "http://a/?b=c",
            "http://a/#b",
            "http://user:secret@a/",
        ] {
            assert!(
                parse_gateway_url(text).unwrap_err().contains("http://HOST:PORT"),
                "{text}"
            );
        }
    }
}
