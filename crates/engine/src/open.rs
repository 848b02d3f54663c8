//! Opens a gateway: store, queue, cache and adapters of the configuration, wired together.

use postrider_core::{error::Result, random::Random};
use std::sync::Arc;

use crate::gateway::{Backends, Gateway, ProviderRuntime, UNSIGNED_RECEIPTS, build_providers, open_store};
use crate::{config::Config, shared_health};
use postrider_cache::StoreSecret;
use postrider_providers::CallbackMode;
use postrider_store::ProviderEndpoint;

impl Gateway {
    /// Opens all backends of the configuration. An unavailable queue or cache is reconnected later.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be opened or a setting is invalid.
    pub async fn open(config: Config) -> Result<Self> {
        let store = open_store(&config).await?;
        let queue = postrider_queue::open(&config.queue_url, config.queue_window).await?;
        let cache = postrider_cache::open(&config.cache_url)?;
        let secret = StoreSecret::new(store.store_secret().await?);
        let adapters = build_providers(&config, &secret)?;
        let backends = Backends {
            clock: shared_health::store_clock(&*store).await?,
            random: Random::default(),
            store,
            queue,
            cache,
            secret,
        };
        let gateway = Self::wire(config, backends, adapters);
        gateway.warn_of_unusable_providers();
        gateway.warn_of_unsigned_receipts();
        // Only the compatibility view needs the endpoints, so a store that cannot be written does not prevent the
        // start.
        let endpoints = gateway.provider_endpoints();
        if let Err(error) = gateway.store.save_provider_endpoints(endpoints).await {
            log::error!("start: saving provider endpoints failed: error={}", error.chain());
        }
        if let Err(error) = shared_health::sync_health(&gateway).await {
            log::error!("start: health sync failed: error={}", error.chain());
        }
        Ok(gateway)
    }

    fn warn_of_unusable_providers(&self) {
        let channels = self.config.channels.iter();
        for route in channels.filter_map(|channel| self.route(channel.name.as_str())) {
            for runtime in route.unusable_providers() {
                let needed_kind = runtime.adapter().address_kind().description();
                log::warn!(
                    "provider is never used, its channel takes no address of kind {needed_kind}: remove it from the channel, \
                     or correct channels.{channel}.address; provider={provider} channel={channel}",
                    provider = runtime.name,
                    channel = route.channel.name
                );
            }
        }
    }

    fn warn_of_unsigned_receipts(&self) {
        for runtime in self.providers() {
            if runtime.adapter().callback_mode() == CallbackMode::Unsigned {
                log::warn!("{UNSIGNED_RECEIPTS}; provider={}", runtime.name);
            }
        }
    }

    fn provider_endpoints(&self) -> Vec<ProviderEndpoint> {
        let to_endpoint = |runtime: &Arc<ProviderRuntime>| {
            let (host, port) = runtime.adapter().endpoint();
            ProviderEndpoint { name: runtime.name.clone(), host, port }
        };
        self.providers().iter().map(to_endpoint).collect()
    }
}
