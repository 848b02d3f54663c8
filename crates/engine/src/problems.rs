//! Current problems that delay deliveries although messages are accepted.
//!
//! `/readyz`, `console status` and the pages show the same list. Each entry begins with the affected part and names the
//! remedy if it is known.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_cache::Cache;
use postrider_core::{capacity::Capacity, clock::Clock, duration::format_duration, name::ConfigName};

use crate::gateway::Gateway;

#[cfg(test)]
mod tests;

/// Time after which the store, queue or cache counts as unavailable.
pub const DEPENDENCY_TIMEOUT: Duration = Duration::from_secs(3);

/// Delay of a due delivery from which its channel has a problem. A working worker claims within seconds.
const CHANNEL_LATE_AFTER: Duration = Duration::from_secs(60);

/// Maximum number of channels whose oldest due delivery is read.
const LATE_CHANNELS_MAX: usize = 64;

/// Size of SQLite's write-ahead log from which it has a problem: 1 GiB. Without a long read it stays below 64 MiB.
const WAL_BYTES_LARGE: u64 = 1 << 30;

/// Minimum step back of the clock that is reported. Smaller steps are corrections of a time server.
const CLOCK_STEP_MIN: Duration = Duration::from_secs(2);

/// Returns the current problems; empty if there are none. Never fails: `/readyz` itself reports an unavailable store.
pub async fn current_problems(gateway: &Gateway) -> Vec<String> {
    let (backends, late_channels) = tokio::join!(backend_problems(gateway), late_channels(gateway));
    let now = gateway.clock.now();
    let unavailable = gateway.providers().iter().filter(|provider| !provider.status(now).is_available);
    let mut problems = backends;
    problems.extend(unavailable.map(|provider| format!("provider {}", provider.name)));
    problems.extend(channels_without_provider(gateway));
    problems.extend(late_channels);
    problems.extend(wal_problem(gateway.store.wal_bytes()));
    problems.extend(clock_problem(gateway));
    problems
}

async fn backend_problems(gateway: &Gateway) -> Vec<String> {
    let (cache, depth, queue_problem) = tokio::join!(
        tokio::time::timeout(DEPENDENCY_TIMEOUT, gateway.cache.ping()),
        tokio::time::timeout(DEPENDENCY_TIMEOUT, gateway.queue.depth()),
        tokio::time::timeout(DEPENDENCY_TIMEOUT, gateway.queue.problem()),
    );
    let mut problems = Vec::new();
    if !matches!(depth, Ok(Some(_))) {
        problems.push("queue".to_owned());
    }
    if let Ok(Some(problem)) = queue_problem {
        problems.push(format!("queue: {problem}"));
    }
    if !matches!(cache, Ok(true)) {
        problems.push("cache".to_owned());
    }
    problems
}

/// Returns the channels without an available provider, whose deliveries can only wait.
fn channels_without_provider(gateway: &Gateway) -> Vec<String> {
    let now = gateway.clock.now();
    let routes = gateway.config.channels.iter().filter_map(|channel| gateway.route(channel.name.as_str()));
    let unusable =
        routes.filter(|route| !route.providers().iter().any(|provider| provider.is_available(now)));
    let describe = |name| format!("channel {name}: no provider can be called, its deliveries wait");
    unusable.map(|route| describe(&route.channel.name)).collect()
}

/// Returns the channels with deliveries that have been due for a minute or more.
async fn late_channels(gateway: &Gateway) -> Vec<String> {
    let now = gateway.clock.now();
    let one_entry_per_channel = Capacity::total(LATE_CHANNELS_MAX);
    let due = tokio::time::timeout(DEPENDENCY_TIMEOUT, gateway.store.due(now, &one_entry_per_channel));
    let Ok(Ok(due_entries)) = due.await else { return Vec::new() };
    let mut oldest_by_channel = BTreeMap::<ConfigName, _>::new();
    for due_entry in due_entries {
        let oldest = oldest_by_channel.entry(due_entry.channel).or_insert(due_entry.due_at);
        *oldest = due_entry.due_at.min(*oldest);
    }
    let late = oldest_by_channel.into_iter().filter_map(|(channel, due_at)| {
        let delay = (now - due_at).to_std().ok().filter(|delay| *delay >= CHANNEL_LATE_AFTER)?;
        let delay = format_duration(Duration::from_secs(delay.as_secs()));
        Some(if gateway.route(channel.as_str()).is_none() {
            format!("channel {channel}: not configured, its oldest delivery has been due for {delay}")
        } else {
            format!("channel {channel}: its oldest delivery has been due for {delay}; is a worker running?")
        })
    });
    late.collect()
}

fn wal_problem(wal_bytes: Option<u64>) -> Option<String> {
    let bytes = wal_bytes.filter(|bytes| *bytes > WAL_BYTES_LARGE)?;
    Some(format!(
        "store: the write-ahead log has {bytes} bytes; end programs that read the database file for long (sqlite3, copies)"
    ))
}

/// Returns a problem if the clock of this host is behind the latest time in a SQLite store.
fn clock_problem(gateway: &Gateway) -> Option<String> {
    let Clock::Steady(_) = &gateway.clock else { return None };
    let step = Duration::try_from_secs_f64(gateway.clock.offset_seconds()).ok()?;
    (step >= CLOCK_STEP_MIN).then(|| {
        let step = format_duration(Duration::from_secs(step.as_secs()));
        format!("clock: this host's clock went back by {step}; times continue from the latest one, correct the clock")
    })
}

/// Watches the log and the clock of the store: sets their gauges, and warns once when a problem begins.
#[derive(Default)]
pub(crate) struct StoreWatch {
    has_wal_problem: bool,
    has_clock_problem: bool,
}

impl StoreWatch {
    /// Sets the gauges and logs new problems.
    pub(crate) fn observe(&mut self, gateway: &Gateway) {
        let wal_bytes = gateway.store.wal_bytes();
        gateway.metrics.wal_bytes.set(wal_bytes.map_or(0, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)));
        gateway.metrics.clock_offset_seconds.set(gateway.clock.offset_seconds());
        warn_once(&mut self.has_wal_problem, wal_problem(wal_bytes).as_deref());
        warn_once(&mut self.has_clock_problem, clock_problem(gateway).as_deref());
    }
}

fn warn_once(has_problem: &mut bool, gateway_problem: Option<&str>) {
    if let Some(gateway_problem) = gateway_problem.filter(|_| !*has_problem) {
        log::warn!("{gateway_problem}");
    }
    *has_problem = gateway_problem.is_some();
}
