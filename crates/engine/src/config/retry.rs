//! Reads `[retry]` and `[channels.NAME.retry]`.

use super::table_reader::TableReader;
use postrider_core::{error::Result, retry::RetryPolicy};

/// Reads a retry policy; missing keys keep the value of `defaults`.
pub(super) fn read_retry(section: &TableReader<'_>, defaults: &RetryPolicy) -> Result<RetryPolicy> {
    section.reject_unknown_keys()?;
    let retry = RetryPolicy {
        base: section.get("base")?.unwrap_or(defaults.base),
        factor: section.get("factor")?.unwrap_or(defaults.factor),
        cap: section.get("cap")?.unwrap_or(defaults.cap),
        tries_max: section.get("max_tries")?.unwrap_or(defaults.tries_max),
        age_max: section.get("max_age")?.unwrap_or(defaults.age_max),
    };
    if !(1.0..=100.0).contains(&retry.factor) {
        return Err(section.error_at("factor", "must be from 1 to 100"));
    }
    if retry.base > retry.cap {
        return Err(section.error_at("cap", "is shorter than base; raise cap or lower base"));
    }
    Ok(retry)
}
