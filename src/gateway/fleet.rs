//! Keeps a process in step with the others on its store: the time, and how providers do.
//!
//! Tells what was found out here at once and reads what others found out about every second; writes nothing while
//! nothing changes. Rates need none of this: every delivery asks for itself.

use std::sync::Arc;
use std::time::Duration;

use super::{Gateway, Lane};
use crate::clock::{self, Clock};
use crate::domain::fleet::News;
use crate::error::Result;
use crate::store::Store;

/// How old what others found out may be.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The shortest time between two looks, however much there is to tell.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// A clock further away from the store's than this is worth a word.
const APART_MAX_SECONDS: f64 = 1.0;

/// The clock that everybody on this store goes by.
pub(crate) async fn clock(store: &Arc<dyn Store>) -> Result<Clock> {
    if !store.has_own_clock() {
        return Ok(Clock::System);
    }
    let clock = Clock::followed();
    look_at_clock(store, &clock).await?;
    let ahead = clock.ahead_seconds();
    if ahead.abs() > APART_MAX_SECONDS {
        log::warn!(
            "the store's clock is {ahead:.1} s ahead of this machine's; the store's is used, and logs show this \
             machine's"
        );
    }
    Ok(clock)
}

async fn look_at_clock(store: &Arc<dyn Store>, clock: &Clock) -> Result<()> {
    if let Clock::Followed(followed) = clock {
        let asked = followed.counted();
        let shown = store.time().await?;
        followed.heard(shown, asked, followed.counted());
    }
    Ok(())
}

fn lanes_of<'g>(gateway: &'g Gateway, news: &'g [News]) -> impl Iterator<Item = &'g Arc<Lane>> {
    news.iter().filter_map(|news| gateway.lane(&news.provider))
}

/// Tells the others what was found out here, and learns what they found out.
pub async fn exchange(gateway: &Gateway) -> Result<()> {
    let now = gateway.clock.now();
    let news = gateway.lanes().iter().filter_map(|lane| lane.news());
    let news = news.collect::<Vec<_>>();
    if !news.is_empty() {
        let told = gateway.store.tell(news.clone(), now).await;
        let learned = told.inspect_err(|_| lanes_of(gateway, &news).for_each(|lane| lane.doubt()))?;
        for (news, learned) in news.iter().zip(learned) {
            if let Some(lane) = gateway.lane(&news.provider) {
                lane.acknowledge(news, &learned, now);
            }
        }
    }
    for known in gateway.store.standings().await? {
        if let Some(lane) = gateway.lane(&known.provider) {
            lane.learn(&known, now);
        }
    }
    // After what is known: whoever is woken is known to be well in the same instant.
    for order in gateway.store.orders().await? {
        if let Some(lane) = gateway.lane(&order.provider) {
            lane.obey(&order);
        }
    }
    Ok(())
}

/// Keeps in step until it is dropped. A store that is away is asked again; meanwhile everybody judges for himself
/// and the clock goes on.
pub async fn follow(gateway: Arc<Gateway>) {
    let mut away = false;
    loop {
        let step = async {
            look_at_clock(&gateway.store, &gateway.clock).await?;
            exchange(&gateway).await
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
        let ahead = gateway.clock.ahead_seconds();
        gateway.metrics.clock_ahead_seconds.set(ahead);
        clock::pause(if away { LOOK_EVERY } else { PAUSE_MIN }).await;
        tokio::select! {
            () = gateway.news.notified() => {}
            () = clock::pause(LOOK_EVERY.saturating_sub(PAUSE_MIN)) => {}
        }
    }
}

#[cfg(test)]
mod tests;
