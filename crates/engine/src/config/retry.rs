//! Reads `[retry]` and `[channels.NAME.retry]`.

use super::table_reader::TableReader;
use postrider_core::error::Result;
use postrider_core::retry::RetryPolicy;

/// Reads a retry policy; missing keys keep the value of `defaults`.
pub(super) fn read_retry(values: &TableReader<'_>, defaults: &RetryPolicy) -> Result<RetryPolicy> {
    values.reject_unknown_keys()?;
    let retry = RetryPolicy {
        base: values.duration("base")?.unwrap_or(defaults.base),
        factor: values.number("factor")?.unwrap_or(defaults.factor),
        cap: values.duration("cap")?.unwrap_or(defaults.cap),
        tries_max: values.count("max_tries")?.unwrap_or(defaults.tries_max),
        age_max: values.duration("max_age")?.unwrap_or(defaults.age_max),
    };
    if !(1.0..=100.0).contains(&retry.factor) {
        return Err(values.error_at("factor", "must be from 1 to 100"));
    }
    if retry.base > retry.cap {
        return Err(values.error_at("cap", "is shorter than base; raise cap or lower base"));
    }
    Ok(retry)
}
