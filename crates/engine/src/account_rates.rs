//! The rates of the accounts in this process: text parts in a second.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::ApiKey;
use postrider_core::clock::Timestamp;

/// Smallest burst, in parts: the parts of one long message. A limiter that refuses the second part of a single message is
/// useless for its client.
const BURST_PARTS_MIN: u32 = 10;

/// The token buckets of the accounts, by name of the API key. Only accounts with `rate` have one, so the configuration
/// bounds their number.
#[derive(Default)]
pub struct AccountRates(Mutex<HashMap<String, TokenBucket>>);

/// Text parts that an account may send at once.
#[derive(Clone, Copy)]
struct TokenBucket {
    parts: f64,
    counted_at: Timestamp,
}

impl AccountRates {
    /// Counts the text parts of a message, or returns the time after which it would be accepted. A message with more parts
    /// than the burst needs a full bucket, and the following messages wait for it.
    ///
    /// # Errors
    /// The rate of the account is reached.
    pub fn try_acquire(&self, key: &ApiKey, parts: u32, now: Timestamp) -> Result<(), Duration> {
        let Some(rate) = key.account.rate else {
            return Ok(());
        };
        let burst = f64::from(rate.max(BURST_PARTS_MIN));
        let mut buckets = self.0.lock();
        let bucket = buckets.entry(key.name.clone()).or_insert(TokenBucket { parts: burst, counted_at: now });
        let elapsed = (now - bucket.counted_at).to_std().unwrap_or_default();
        bucket.parts = (bucket.parts + elapsed.as_secs_f64() * f64::from(rate)).min(burst);
        bucket.counted_at = now;
        let missing = f64::from(parts).min(burst) - bucket.parts;
        if missing > 0.0 {
            return Err(Duration::from_secs_f64(missing / f64::from(rate)));
        }
        bucket.parts -= f64::from(parts);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
