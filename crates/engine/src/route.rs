//! A route: a channel with the runtimes of its providers and the balancer between them.
//!
//! Determines the order of providers; makes no calls.

use postrider_core::channel::{Addressing, Channel};
use postrider_core::routing::{RouteBalancer, RouteCandidate};
use postrider_core::{address::AddressKind, clock::Timestamp, delivery::DeliveryStateKind, name::ConfigName};
use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;

use crate::metrics::Metrics;
use crate::provider_runtime::{ProviderBusy, ProviderRuntime};

/// Delay before a delivery is tried again if the channel has no usable provider.
const NO_PROVIDER_RETRY_DELAY: Duration = Duration::from_secs(60);

/// Minimum time between two log lines about `unknown` outcomes of a channel.
const UNKNOWN_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A configured channel and its state in this process.
pub struct Route {
    /// The configured channel.
    pub channel: Channel,
    providers: Vec<Arc<ProviderRuntime>>,
    address_kinds: Vec<AddressKind>,
    balancer: Mutex<RouteBalancer>,
    /// The time of the last log line about an `unknown` outcome.
    unknown_logged_at: Mutex<Option<Timestamp>>,
    state_changes: [Counter; DeliveryStateKind::ALL.len()],
}

impl Route {
    /// Creates a route over the runtimes that the channel names as its providers.
    pub fn new(channel: Channel, runtimes: &[Arc<ProviderRuntime>], metrics: &Metrics) -> Self {
        let find_runtime = |name: &ConfigName| runtimes.iter().find(|runtime| runtime.name == *name).cloned();
        let providers: Vec<Arc<ProviderRuntime>> =
            channel.providers.iter().filter_map(find_runtime).collect();
        let provider_kinds = providers.iter().map(|runtime| runtime.adapter().address_kind());
        let address_kinds = channel.addressing.kinds(provider_kinds);
        let state_changes = DeliveryStateKind::ALL
            .map(|state| metrics.state_change_counter(channel.name.as_str(), state.as_str()));
        Self {
            balancer: Mutex::default(),
            providers,
            address_kinds,
            channel,
            unknown_logged_at: Mutex::default(),
            state_changes,
        }
    }

    /// Returns the providers to try in one round, in order: without unavailable providers, and without `avoid` unless the
    /// channel has no other provider.
    pub fn order(&self, avoid: Option<&ConfigName>, now: Timestamp) -> Vec<&ProviderRuntime> {
        let candidates: Vec<RouteCandidate> = self
            .providers
            .iter()
            .map(|runtime| RouteCandidate {
                in_flight: runtime.in_flight(),
                is_available: runtime.is_available(now) && !self.is_avoided(runtime, avoid),
            })
            .collect();
        let provider_indexes = self.balancer.lock().order(&self.channel.strategy, &candidates);
        provider_indexes.into_iter().filter_map(|index| self.providers.get(index).map(Arc::as_ref)).collect()
    }

    fn is_avoided(&self, runtime: &ProviderRuntime, avoid: Option<&ConfigName>) -> bool {
        self.providers.len() > 1 && avoid == Some(&runtime.name)
    }

    /// Returns why the provider that will be available first is busy. Considers providers for which `is_usable` holds;
    /// `avoid` as in [`Route::order`].
    pub fn soonest_available(
        &self,
        avoid: Option<&ConfigName>,
        now: Timestamp,
        is_usable: impl Fn(&ProviderRuntime) -> bool,
    ) -> ProviderBusy {
        let soonest = self
            .providers
            .iter()
            .filter(|runtime| !self.is_avoided(runtime, avoid) && is_usable(runtime))
            .map(|runtime| runtime.unavailability(now))
            .min_by_key(|busy| busy.retry_after);
        soonest.unwrap_or_else(|| ProviderBusy {
            retry_after: NO_PROVIDER_RETRY_DELAY,
            jitter_max: Duration::ZERO,
            is_requested_by_provider: false,
            reason: format!("channel {} has no usable provider", self.channel.name),
        })
    }

    /// Returns how often a message is sent again after an `unknown` outcome of this provider; without a provider, after
    /// an `unknown` outcome of any provider of the channel. The smallest of the configured numbers applies.
    pub fn unknown_retries(&self, provider: Option<&ConfigName>) -> u32 {
        let is_asked = |runtime: &&Arc<ProviderRuntime>| provider.is_none_or(|name| runtime.name == *name);
        let limits = self.providers.iter().filter(is_asked).filter_map(|runtime| runtime.unknown_retries);
        limits.fold(self.channel.unknown_retries, u32::min)
    }

    /// Returns whether another `unknown` outcome may be logged now. One line a minute is logged, because a provider
    /// that does not answer usually fails for many messages.
    pub fn may_log_unknown(&self, now: Timestamp) -> bool {
        let mut logged_at = self.unknown_logged_at.lock();
        if logged_at.is_some_and(|logged_at| now >= logged_at && now < logged_at + UNKNOWN_LOG_INTERVAL) {
            return false;
        }
        *logged_at = Some(now);
        true
    }

    /// Returns the address kinds of the channel, in the order of its providers. Never empty.
    pub fn address_kinds(&self) -> &[AddressKind] {
        &self.address_kinds
    }

    /// Returns whether every provider accepts any text as an address and the configuration does not restrict the kind.
    pub fn can_use_any_text(&self) -> bool {
        let is_unrestricted = match self.channel.addressing {
            Addressing::Only(address_kind) => address_kind == AddressKind::Any,
            Addressing::ByProviders(_) | Addressing::Mixed => true,
        };
        let mut runtimes = self.providers.iter();
        is_unrestricted && runtimes.all(|runtime| runtime.adapter().address_kind() == AddressKind::Any)
    }

    /// Returns whether a delivery over this route carries several addresses.
    pub fn is_mixed(&self) -> bool {
        self.address_kinds.len() > 1
    }

    /// Returns the providers that can use none of the channel's address kinds.
    pub fn unusable_providers(&self) -> impl Iterator<Item = &ProviderRuntime> {
        let is_unusable = |runtime: &&ProviderRuntime| {
            let provider_kind = runtime.adapter().address_kind();
            !self.address_kinds.iter().any(|kind| kind.is_usable_by(provider_kind))
        };
        self.providers.iter().map(Arc::as_ref).filter(is_unusable)
    }

    /// Returns the providers in the configured order.
    pub fn providers(&self) -> &[Arc<ProviderRuntime>] {
        &self.providers
    }

    /// Counts a delivery that changed its state.
    pub fn count_state_change(&self, state: DeliveryStateKind) {
        if let Some(state_index) = DeliveryStateKind::ALL.iter().position(|kind| *kind == state) {
            self.state_changes[state_index].inc();
        }
    }
}

#[cfg(test)]
mod tests;
