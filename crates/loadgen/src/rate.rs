//! Rates in the texts of load tools.

/// Converts a count to a floating-point number; exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
pub fn to_f64(count: u64) -> f64 {
    count as f64
}

/// Returns `produced 1000 messages in 0.02 s, 50000/s`; without a rate when no time has passed.
pub fn format_rate(verb: &str, counted_items: &str, count: u64, seconds: f64) -> String {
    if count > 0 && seconds > 0.0 {
        let rate = to_f64(count) / seconds;
        format!("{verb} {counted_items} in {seconds:.2} s, {rate:.0}/s")
    } else {
        format!("{verb} {counted_items}")
    }
}
