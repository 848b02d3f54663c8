//! Synchronises a process with others on its store: the clock, and the health of providers.
//!
//! Reports local changes at once and reads changes of other processes about every second; writes nothing
//! while nothing changes. Rate limits do not need it: each call acquires permits from the store.

use std::sync::Arc;
use std::time::Duration;

use crate::gateway::Gateway;
use crate::provider_runtime::ProviderRuntime;
use postrider_core::clock::{self, Clock};
use postrider_core::error::Result;
use postrider_core::shared_health::HealthReport;
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
    let ahead = clock.offset_seconds();
    if ahead.abs() > CLOCK_OFFSET_WARN_SECONDS {
        log::warn!(
            "the store's clock is {ahead:.1} s ahead of this machine's; the store's is used, and logs show this \
             machine's"
        );
    }
    Ok(clock)
}

async fn sync_clock(store: &Arc<dyn Store>, clock: &Clock) -> Result<()> {
    if let Clock::Synced(followed) = clock {
        let asked = followed.elapsed();
        let shown = store.current_time().await?;
        followed.record_reading(shown, asked, followed.elapsed());
    }
    Ok(())
}

fn providers_of_reports<'g>(
    gateway: &'g Gateway,
    news: &'g [HealthReport],
) -> impl Iterator<Item = &'g Arc<ProviderRuntime>> {
    news.iter().filter_map(|news| gateway.provider(&news.provider))
}

/// Reports local changes and loads the changes of other processes.
pub async fn sync_health(gateway: &Gateway) -> Result<()> {
    let now = gateway.clock.now();
    let news = gateway
        .providers()
        .iter()
        .filter_map(|lane| lane.unreported_health());
    let news = news.collect::<Vec<_>>();
    if !news.is_empty() {
        let told = gateway.store.report_health(news.clone(), now).await;
        let learned = told.inspect_err(|_| {
            providers_of_reports(gateway, &news).for_each(|lane| lane.mark_report_uncertain())
        })?;
        for (news, learned) in news.iter().zip(learned) {
            if let Some(lane) = gateway.provider(&news.provider) {
                lane.confirm_reported(news, &learned, now);
            }
        }
    }
    for known in gateway.store.load_health().await? {
        if let Some(lane) = gateway.provider(&known.provider) {
            lane.load_health(&known, now);
        }
    }
    // Controls are applied after health, so that a resumed provider is closed at once.
    for order in gateway.store.provider_controls().await? {
        if let Some(lane) = gateway.provider(&order.provider) {
            lane.apply_control(&order);
        }
    }
    Ok(())
}

/// Synchronises until it is dropped. While the store is unavailable, each process uses its own circuit
/// breakers and its own clock continues.
pub async fn run_health_sync(gateway: Arc<Gateway>) {
    let mut away = false;
    loop {
        let step = async {
            sync_clock(&gateway.store, &gateway.clock).await?;
            sync_health(&gateway).await
        };
        match step.await {
            Ok(()) => away = false,
            Err(error) if away => log::debug!("not in step with other hosts: {}", error.chain()),
            Err(error) => {
                away = true;
                gateway.metrics.store_errors.inc();
                log::error!("not in step with other hosts: {}", error.chain());
            }
        }
        let ahead = gateway.clock.offset_seconds();
        gateway.metrics.clock_offset_seconds.set(ahead);
        clock::sleep(if away { SYNC_INTERVAL } else { SYNC_INTERVAL_MIN }).await;
        tokio::select! {
            () = gateway.health_changed.notified() => {}
            () = clock::sleep(SYNC_INTERVAL.saturating_sub(SYNC_INTERVAL_MIN)) => {}
        }
    }
}

#[cfg(test)]
mod tests;
