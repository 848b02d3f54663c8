//! Formats numbers, times and addresses for display.
//!
//! Rounding never hides a problem: a share above zero is never shown as zero, and a value that cannot be computed is an
//! en dash. All times are UTC.

#[cfg(test)]
mod tests;

use std::fmt::Display;

use postrider_core::address::mask_address;
use postrider_core::clock::Timestamp;

/// Shown for an unknown value, and for a number that cannot be computed, such as a percentage of zero.
pub(super) const NOT_AVAILABLE: &str = "–";

/// Formats a value, or [`NOT_AVAILABLE`] if there is none.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NOT_AVAILABLE.to_owned(), |value| value.to_string())
}

/// Formats an unsigned integer with commas between thousands.
pub(super) fn count(count: impl Display + Copy) -> String {
    let digits = count.to_string();
    let thousands = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    thousands.collect::<Vec<_>>().join(",")
}

/// Formats a percentage with one decimal; a value close to 0 or 100 is never shown as 0 or 100.
pub(super) fn percent(percent: Option<f64>) -> String {
    match percent {
        None => NOT_AVAILABLE.to_owned(),
        Some(percent) if percent > 0.0 && percent < 0.1 => "< 0.1 %".to_owned(),
        Some(percent) if percent < 100.0 && percent > 99.9 => "> 99.9 %".to_owned(),
        Some(percent) => format!("{percent:.1} %"),
    }
}

/// Formats a time to the second, in UTC without the zone.
pub(super) fn time(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Formats a time to the millisecond, in UTC without the zone.
pub(super) fn time_ms(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// Formats a duration with its unit.
pub(super) fn duration(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 if millis.is_multiple_of(1_000) => format!("{} s", millis / 1_000),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        60_000.. if millis.is_multiple_of(60_000) => format!("{} min", millis / 60_000),
        60_000.. => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

/// Formats a percentile of durations, which is the upper bound of a histogram bucket.
pub(super) fn percentile(millis: Option<u64>, largest_bucket_bound: u64) -> String {
    match millis {
        None => NOT_AVAILABLE.to_owned(),
        Some(millis) if millis > largest_bucket_bound => format!("> {}", duration(largest_bucket_bound)),
        Some(millis) => format!("≤ {}", duration(millis)),
    }
}

/// Formats a stored word such as `invalid_recipient` for people.
pub(super) fn humanize(identifier: &str) -> String {
    identifier.replace('_', " ")
}

/// Formats an address, masked (`+98912***2222`) if `mask` is set.
pub(super) fn address(address: &str, mask: bool) -> String {
    if mask { mask_address(address) } else { address.to_owned() }
}

/// Returns the first 60 characters of a message body on one line, for a table.
pub(super) fn body_preview(body: &str) -> String {
    shorten(body, 60)
}

fn shorten(body: &str, chars_max: usize) -> String {
    let body_line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    match body_line.char_indices().nth(chars_max) {
        None => body_line,
        Some((end, _)) => format!("{}…", body_line[..end].trim_end()),
    }
}
