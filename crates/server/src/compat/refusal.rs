//! Rules that the compatible APIs share when a message is refused.

use std::time::Duration;

/// Returns whether a spending limit that allows messages again after `retry_after` is the limit of a day: the other one is
/// that of a minute. Other systems tell a client without credit, and one that is too fast, different things.
pub(super) fn is_day_limit(retry_after: Duration) -> bool {
    retry_after > Duration::from_secs(60)
}
