//! Synchronises a process with others on its store: the clock, and the health of providers.
//!
//! Local changes are reported at once; changes of other processes are read about every second; nothing is written while
//! nothing changes. Rate limits do not need this module: each call acquires permits from the store.

use postrider_core::clock::{self, Clock};
use postrider_core::error::Result;
use std::{sync::Arc, time::Duration};

use crate::{gateway::Gateway, problems::StoreWatch, provider_runtime::ProviderRuntime};
use postrider_store::CoordinationStore;

/// Maximum age of the health that other processes have reported.
const HEALTH_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Minimum time between two synchronisations.
const SYNC_INTERVAL_MIN: Duration = Duration::from_millis(50);

/// Offset between the store's clock and the local clock above which a warning is logged.
const CLOCK_OFFSET_WARN_SECONDS: f64 = 1.0;

/// Returns the clock that all processes on this store share.
pub async fn store_clock(store: &dyn CoordinationStore) -> Result<Clock> {
    if !store.has_own_clock() {
        return Ok(Clock::steady(store.current_time().await?));
    }
    let clock = Clock::synced();
    sync_clock(store, &clock).await?;
    let offset = clock.offset_seconds();
    if offset.abs() > CLOCK_OFFSET_WARN_SECONDS {
        log::warn!(
            "clock offset: using the store's clock, logs show the local one; offset_seconds={offset:.1}"
        );
    }
    Ok(clock)
}

async fn sync_clock(store: &dyn CoordinationStore, clock: &Clock) -> Result<()> {
    if let Clock::Synced(synced) = clock {
        let query_started = synced.elapsed();
        let store_time = store.current_time().await?;
        synced.record_reading(store_time, query_started, synced.elapsed());
    }
    Ok(())
}

/// Reports local changes and loads the changes of other processes.
pub async fn sync_health(gateway: &Gateway) -> Result<()> {
    let now = gateway.clock.now();
    let unreported =
        |runtime: &Arc<ProviderRuntime>| Some((Arc::clone(runtime), runtime.unreported_health()?));
    let (runtimes, reports): (Vec<_>, Vec<_>) = gateway.providers().iter().filter_map(unreported).unzip();
    if !reports.is_empty() {
        let stored = gateway.store.report_health(reports.clone(), now).await;
        let responses =
            stored.inspect_err(|_| runtimes.iter().for_each(|runtime| runtime.mark_report_uncertain()))?;
        for ((runtime, report), response) in runtimes.iter().zip(&reports).zip(responses) {
            runtime.confirm_reported(report, &response, now);
        }
    }
    for shared in gateway.store.load_health().await? {
        if let Some(runtime) = gateway.provider(&shared.provider) {
            runtime.load_health(&shared, now);
        }
    }
    // Controls are applied after health, so that the circuit of a resumed provider closes at once.
    for control in gateway.store.provider_controls().await? {
        if let Some(runtime) = gateway.provider(&control.provider) {
            runtime.apply_control(&control);
        }
    }
    Ok(())
}

/// Synchronises until the future is dropped. While the store is unavailable, each process uses its own circuit
/// breakers, and its clock continues by the monotonic clock of the machine.
pub async fn run_health_sync(gateway: Arc<Gateway>) {
    let mut is_unavailable = false;
    let mut store_watch = StoreWatch::default();
    loop {
        let clock_and_health = async {
            sync_clock(&*gateway.store, &gateway.clock).await?;
            sync_health(&gateway).await
        };
        match clock_and_health.await {
            Ok(()) => is_unavailable = false,
            Err(error) if is_unavailable => {
                log::debug!("health sync failed, retrying: error={}", error.chain());
            }
            Err(error) => {
                is_unavailable = true;
                gateway.record_store_error("health sync failed, retrying", &error);
            }
        }
        store_watch.observe(&gateway);
        clock::sleep(if is_unavailable { HEALTH_SYNC_INTERVAL } else { SYNC_INTERVAL_MIN }).await;
        tokio::select! {
            () = gateway.health_changed.notified() => {}
            () = clock::sleep(HEALTH_SYNC_INTERVAL.saturating_sub(SYNC_INTERVAL_MIN)) => {}
        }
    }
}

#[cfg(test)]
mod tests;
