//! What an endpoint's answer means, by whose endpoint it is.
//!
//! One that the configuration names is a provider like any other: what is wrong with it is wrong for every message. One
//! that is a recipient's address is a recipient: nothing it says may take the provider away from the others.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Posted;
use crate::domain::attempt::{Answer, Outcome};
use crate::provider::fate::Fate;

/// Whose the endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Named by the configuration, the same for every message.
    Ours,
    /// The recipient's address.
    Recipients,
}

/// Status, what it means from our endpoint, what from a recipient's. The first line that fits counts. A 404 or 400 may be
/// an endpoint that is just being deployed, so it is tried again until the channel gives up.
const MEANINGS: [(RangeInclusive<u16>, Fate, Fate); 8] = [
    (200..=299, Fate::Accepted, Fate::Accepted),
    (300..=399, Fate::Misconfigured, Fate::Deferred),
    (401..=401, Fate::Misconfigured, Fate::Deferred),
    (403..=403, Fate::Misconfigured, Fate::Deferred),
    (404..=404, Fate::Unavailable, Fate::Deferred),
    (410..=410, Fate::Misconfigured, Fate::InvalidRecipient),
    (429..=429, Fate::Throttled, Fate::Deferred),
    (400..=499, Fate::Deferred, Fate::Deferred),
];

/// The attempt's outcome. A time-out is no doubt here, because whoever gets a call twice knows it by its id.
pub fn answer(posted: Posted, whose: Whose) -> Answer {
    match posted {
        Posted::Answered {
            status,
            retry_after,
            words,
        } => answered(status, retry_after, words, whose),
        Posted::Forbidden(reason) => match whose {
            Whose::Ours => Outcome::Misconfigured { reason },
            Whose::Recipients => Outcome::InvalidRecipient { reason },
        }
        .into(),
        Posted::Untrusted(reason) => match whose {
            Whose::Ours => Outcome::Misconfigured { reason },
            Whose::Recipients => deferred(reason, None),
        }
        .into(),
        Posted::Failed(reason) => match whose {
            Whose::Ours => Outcome::Unavailable { reason },
            Whose::Recipients => deferred(reason, None),
        }
        .into(),
    }
}

fn answered(status: u16, retry_after: Option<Duration>, words: String, whose: Whose) -> Answer {
    let code = format!("HTTP {status}");
    let reason = if words.is_empty() { code.clone() } else { words };
    let meaning = MEANINGS.iter().find(|(statuses, ..)| statuses.contains(&status));
    let fate = match (meaning, whose) {
        (Some((_, ours, _)), Whose::Ours) => *ours,
        (Some((_, _, recipients)), Whose::Recipients) => *recipients,
        // Every 5xx, and whatever is no status at all.
        (None, Whose::Ours) if retry_after.is_some() => Fate::Throttled,
        (None, Whose::Ours) => Fate::Unavailable,
        (None, Whose::Recipients) => Fate::Deferred,
    };
    Answer {
        outcome: fate.outcome(None, reason, retry_after),
        code: Some(code),
    }
}

fn deferred(reason: String, retry_after: Option<Duration>) -> Outcome {
    Outcome::Deferred { reason, retry_after }
}
