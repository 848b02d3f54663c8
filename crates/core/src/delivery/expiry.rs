//! Waiting for the next try, and the expiry of a delivery.
//!
//! If the next try would come after the expiry, the delivery gets a last try shortly before the expiry instead. After
//! the last try it waits for the expiry.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{DeliveryRules, DeliveryState, DeliveryTransition};
use crate::clock::saturating_add;

/// Longest time between the last try and the expiry: a call takes 13 s at most with the default time limits of a provider.
const LAST_TRY_LEAD_MAX: Duration = Duration::from_secs(15);

/// Shortest time between the last try and the expiry. If less time is left, there is no further try, and the delivery
/// waits for its expiry.
const LAST_TRY_LEAD_MIN: Duration = Duration::from_millis(250);

/// The last try comes when the remaining time divided by this number is left. So a delivery that expires within seconds
/// also gets a last try.
const LAST_TRY_LEAD_DIVISOR: u32 = 4;

/// Longest single wait that a provider can ask for without using up the age of the delivery. A daily quota is restored
/// within a day.
const REQUESTED_WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);

impl DeliveryState {
    /// Waits for `delay`, but not past the last try before the expiry. `requested` is the part of the wait that a
    /// provider asked for. The expiry moves back by that part, but not past the expiry that the client asked for.
    pub(super) fn wait(
        delay: Duration,
        requested: Option<Duration>,
        reason: String,
        rules: &DeliveryRules<'_>,
        now: DateTime<Utc>,
    ) -> DeliveryTransition {
        let expires_at = rules.extended_expiry(requested.unwrap_or_default());
        let due_at = saturating_add(now, delay);
        let state = if due_at < expires_at {
            Self::Waiting { due_at, reason: Some(reason) }
        } else if let Some(last_try_at) = last_try_at(now, expires_at) {
            Self::Waiting { due_at: last_try_at, reason: Some(reason) }
        } else {
            let reason = Some(format!("no further try before the expiry: {reason}"));
            Self::Waiting { due_at: expires_at.max(now), reason }
        };
        DeliveryTransition { state, tries: rules.tries, expires_at }
    }
}

impl DeliveryRules<'_> {
    /// Returns the expiry after a wait that a provider asked for. The expiry never becomes earlier.
    fn extended_expiry(&self, requested: Duration) -> DateTime<Utc> {
        let extended = saturating_add(self.expires_at, requested.min(REQUESTED_WAIT_MAX));
        let limited = self.client_expires_at.map_or(extended, |client_expiry| extended.min(client_expiry));
        limited.max(self.expires_at)
    }
}

/// Returns the time of the last try before the expiry; none if too little time is left.
fn last_try_at(now: DateTime<Utc>, expires_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let remaining = (expires_at - now).to_std().ok()?;
    let lead = (remaining / LAST_TRY_LEAD_DIVISOR).min(LAST_TRY_LEAD_MAX);
    (lead >= LAST_TRY_LEAD_MIN).then(|| saturating_add(now, remaining - lead))
}

/// Returns whether a round at `now` may be the last one before the expiry, so that a provider with an open circuit breaker
/// is probed rather than skipped.
pub fn is_near_expiry(now: DateTime<Utc>, expires_at: DateTime<Utc>) -> bool {
    expires_at <= saturating_add(now, LAST_TRY_LEAD_MAX)
}
