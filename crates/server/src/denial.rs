//! Requests without sufficient credentials: counted by reason, and logged at most once a second by reason.
//!
//! A handler marks its response with a [`Denial`]; [`DenialLog`] counts and logs it, because the handler does not know the
//! address of the client.

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use postrider_engine::metrics::Metrics;

/// Minimum interval between two log lines of one reason.
const DENIAL_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Reason why a request is denied: a response extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// The request carries no key.
    MissingKey,
    /// No configured key matches.
    UnknownKey,
    /// The key lacks the scope that the request needs.
    InsufficientScope,
    /// A page of another site may have caused the request.
    CrossSite,
    /// The account may not be used from this network.
    NetworkNotAllowed,
    /// The `Host` header does not name this server.
    ForeignHost,
    /// The address sent too many wrong keys before.
    TooManyWrongKeys,
    /// The signature, secret or token of a callback is missing or wrong.
    CallbackUnauthenticated {
        /// Name of the provider; `None` if no provider has the token.
        provider: Option<String>,
    },
    /// The signature of a callback cannot be verified now.
    CallbackUnverified {
        /// Name of the provider.
        provider: String,
        /// The unreadable part.
        detail: String,
    },
}

impl Denial {
    /// Returns the name in metrics and logs.
    fn reason(&self) -> &'static str {
        match self {
            Self::MissingKey => "missing_key",
            Self::UnknownKey => "unknown_key",
            Self::InsufficientScope => "insufficient_scope",
            Self::CrossSite => "cross_site",
            Self::NetworkNotAllowed => "network_not_allowed",
            Self::ForeignHost => "foreign_host",
            Self::TooManyWrongKeys => "too_many_wrong_keys",
            Self::CallbackUnauthenticated { .. } => "callback_unauthenticated",
            Self::CallbackUnverified { .. } => "callback_unverified",
        }
    }

    /// Returns ` provider=…` with further fields of the log line.
    fn log_fields(&self) -> String {
        match self {
            Self::CallbackUnauthenticated { provider: Some(provider) } => format!(" provider={provider}"),
            Self::CallbackUnverified { provider, detail } => format!(" provider={provider} detail={detail}"),
            _ => String::new(),
        }
    }
}

/// Log lines about denied requests.
#[derive(Default)]
pub(super) struct DenialLog {
    /// By reason: requests since the last line, and its time. At most one entry for each variant of [`Denial`].
    lines: Mutex<Vec<(&'static str, u64, Instant)>>,
}

impl DenialLog {
    /// Counts a denied request, and logs it unless a request with the same reason was logged within a second.
    pub(super) fn record(&self, metrics: &Metrics, denial: &Denial, client: IpAddr) {
        let reason = denial.reason();
        metrics.count_denied(reason);
        // A request without a key is not logged, because browsers send one before they sign in.
        if *denial == Denial::MissingKey {
            return;
        }
        if let Some(count) = self.count_for_line(reason, Instant::now()) {
            let fields = denial.log_fields();
            log::warn!("request denied: reason={reason} peer={client} count={count}{fields}");
        }
    }

    /// Returns the number of requests since the last line if a line is due.
    fn count_for_line(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut denial_lines = self.lines.lock();
        let Some((_, unlogged_count, logged_at)) = denial_lines.iter_mut().find(|line| line.0 == reason)
        else {
            denial_lines.push((reason, 0, now));
            return Some(1);
        };
        *unlogged_count += 1;
        if now.duration_since(*logged_at) < DENIAL_LOG_INTERVAL {
            return None;
        }
        *logged_at = now;
        Some(std::mem::take(unlogged_count))
    }
}
