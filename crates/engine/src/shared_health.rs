//! Synchronises a process with others on its store: the clock, and the health of providers.
//!
//! Reports local changes at once and reads changes of other processes about every second; writes nothing
//! while nothing changes. Rate limits do not need it: each call acquires permits from the store.

use postrider_core::clock::{self, Clock};
use postrider_core::error::Result;
use postrider_core::shared_health::HealthReport;
use std::sync::Arc;
use std::time::Duration;

use crate::gateway::Gateway;
use crate::provider_runtime::ProviderRuntime;
use postrider_store::Store;

/// Maximum age of what other processes have reported.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Minimum time between two synchronisations.
const SYNC_INTERVAL_MIN: Duration = Duration::from_millis(50);

/// Offset between the store's clock and the local clock above which a warning is logged.
const CLOCK_OFFSET_WARN_SECONDS: f64 = 1.0;

/// Returns the clock that all processes on this store share.
pub async fn store_clock(store: &Arc<dyn Store>) -> Result<Clock> {
    if !store.has_own_clock() {
        return Ok(Clock::System);
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

async fn sync_clock(store: &Arc<dyn Store>, clock: &Clock) -> Result<()> {
    if let Clock::Synced(synced) = clock {
        let started = synced.elapsed();
        let store_time = store.current_time().await?;
        synced.record_reading(store_time, started, synced.elapsed());
    }
    Ok(())
}

fn providers_of_reports<'g>(
    gateway: &'g Gateway,
    reports: &'g [HealthReport],
) -> impl Iterator<Item = &'g Arc<ProviderRuntime>> {
    reports.iter().filter_map(|report| gateway.provider(&report.provider))
}

/// Reports local changes and loads the changes of other processes.
pub async fn sync_health(gateway: &Gateway) -> Result<()> {
    let now = gateway.clock.now();
    let reports = gateway.providers().iter().filter_map(|runtime| runtime.unreported_health());
    let reports = reports.collect::<Vec<_>>();
    if !reports.is_empty() {
        let stored = gateway.store.report_health(reports.clone(), now).await;
        let responses = stored.inspect_err(|_| {
            providers_of_reports(gateway, &reports).for_each(|runtime| runtime.mark_report_uncertain());
        })?;
        for (report, response) in reports.iter().zip(responses) {
            if let Some(runtime) = gateway.provider(&report.provider) {
                runtime.confirm_reported(report, &response, now);
            }
        }
    }
    for shared in gateway.store.load_health().await? {
        if let Some(runtime) = gateway.provider(&shared.provider) {
            runtime.load_health(&shared, now);
        }
    }
    // Controls are applied after health, so that a resumed provider is closed at once.
    for control in gateway.store.provider_controls().await? {
        if let Some(runtime) = gateway.provider(&control.provider) {
            runtime.apply_control(&control);
        }
    }
    Ok(())
}

/// Synchronises until it is dropped. While the store is unavailable, each process uses its own circuit
/// breakers and its own clock continues.
pub async fn run_health_sync(gateway: Arc<Gateway>) {
    let mut is_unavailable = false;
    loop {
        let step = async {
            sync_clock(&gateway.store, &gateway.clock).await?;
            sync_health(&gateway).await
        };
        match step.await {
            Ok(()) => is_unavailable = false,
            Err(error) if is_unavailable => {
                log::debug!("health sync failed, retrying: error={}", error.chain());
            }
            Err(error) => {
                is_unavailable = true;
                gateway.record_store_error("health sync failed, retrying", &error);
            }
        }
        let offset = gateway.clock.offset_seconds();
        gateway.metrics.clock_offset_seconds.set(offset);
        clock::sleep(if is_unavailable { SYNC_INTERVAL } else { SYNC_INTERVAL_MIN }).await;
        tokio::select! {
            () = gateway.health_changed.notified() => {}
            () = clock::sleep(SYNC_INTERVAL.saturating_sub(SYNC_INTERVAL_MIN)) => {}
        }
    }
}

#[cfg(test)]
mod tests;
