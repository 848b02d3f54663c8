//! Waiting for the next try, and the expiry of a delivery.
//!
//! A delivery never fails before its expiry only because the next try would come too late: there is a last try shortly
//! before the expiry, and after it the delivery waits for the expiry itself.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{DeliveryRules, DeliveryState, DeliveryTransition};
use crate::clock::saturating_add;

/// Longest time between the last try and the expiry: a call takes 13 s at most with the default time limits of a provider.
const LAST_TRY_LEAD_MAX: Duration = Duration::from_secs(15);

/// Shortest time between the last try and the expiry. With less time left the delivery only waits for its expiry.
const LAST_TRY_LEAD_MIN: Duration = Duration::from_millis(250);

/// The last try comes when this part of the remaining time is left, so that a delivery that expires within seconds gets a
/// last try as well.
const LAST_TRY_LEAD_DIVISOR: u32 = 4;

/// Longest wait that a provider can ask for at once without using up the age of the delivery: a daily quota is over after
/// a day.
const REQUESTED_WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);

impl DeliveryState {
    /// Waits for `delay`, but never past the last try before the expiry. `requested` is the part of the wait that a
    /// provider asked for; it moves the expiry back by as much, unless the client asked for an earlier one.
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
    /// Returns the expiry after a wait that a provider asked for; never an earlier one.
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
