//! Reload of the configuration in a running process: replaces what can change safely and names what needs a restart.
//!
//! A reload replaces the API keys, and the adapter of each provider whose settings (credentials, URLs) differ. Calls in
//! flight end with the old adapter. Everything else needs a restart; this includes a provider that keeps a connection,
//! and changed limits of a provider.

use std::fmt;
use std::sync::Arc;

use crate::config::{Config, ProviderConfig};
use crate::gateway::{Gateway, ProviderRuntime, build_provider, callback_token};
use postrider_core::error::Result;
use postrider_providers::{HttpClientPool, Provider};

/// Changes of a reload. The `Display` form is for the log and contains no values.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReloadResult {
    /// Configuration sections that are in use now.
    pub applied: Vec<String>,
    /// Configuration sections whose change needs a restart.
    pub restart_needed: Vec<String>,
}

impl fmt::Display for ReloadResult {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |sections: &[String]| match sections {
            [] => "none".to_owned(),
            sections => sections.join(","),
        };
        write!(out, "applied={} restart_needed={}", names(&self.applied), names(&self.restart_needed))
    }
}

impl Gateway {
    /// Applies a newly loaded configuration. Either everything that can be replaced is replaced, or nothing.
    ///
    /// # Errors
    ///
    /// The settings of a provider are invalid; then nothing has changed.
    pub fn reload(&self, new_config: &Config) -> Result<ReloadResult> {
        let mut reload_result =
            ReloadResult { restart_needed: self.sections_for_restart(new_config), ..Default::default() };
        let clients = HttpClientPool::new()?;
        let mut replacements: Vec<(&ProviderRuntime, Arc<dyn Provider>, &ProviderConfig)> = Vec::new();
        for (runtime, provider) in self.providers_in_both(new_config) {
            if runtime.active_settings() == provider.settings {
                continue;
            }
            let section = format!("providers.{}", provider.name);
            let token = callback_token(&self.secret, &provider.name);
            let adapter = build_provider(provider, &self.config.public_url, &token, &clients)?;
            if runtime.can_replace_adapter(adapter.as_ref()) {
                reload_result.applied.push(section);
                replacements.push((runtime, adapter, provider));
            } else {
                reload_result.restart_needed.push(section);
            }
        }
        for (runtime, adapter, provider) in replacements {
            runtime.replace_adapter(adapter, provider.settings.clone());
        }
        if !self.api_keys().iter().map(Arc::as_ref).eq(&new_config.keys) {
            // Without keys other rules protect the routes, and they are chosen at the start.
            if self.config.keys.is_empty() || new_config.keys.is_empty() {
                reload_result.restart_needed.push("keys".to_owned());
            } else {
                self.replace_api_keys(new_config.keys.clone());
                reload_result.applied.push("keys".to_owned());
            }
        }
        Ok(reload_result)
    }

    /// Returns the providers that both configurations have with the same kind and limits.
    fn providers_in_both<'a>(
        &'a self,
        new: &'a Config,
    ) -> impl Iterator<Item = (&'a ProviderRuntime, &'a ProviderConfig)> {
        new.providers.iter().filter_map(|provider| {
            let started = self.config.providers.iter().find(|started| started.name == provider.name)?;
            let runtime = self.provider(&provider.name)?;
            started.has_same_limits(provider).then_some((runtime.as_ref(), provider))
        })
    }

    /// Returns the sections whose values differ from those at the start, without the settings of common providers.
    fn sections_for_restart(&self, new_config: &Config) -> Vec<String> {
        let started = &self.config;
        let shared_count = self.providers_in_both(new_config).count();
        let has_other_providers =
            shared_count != new_config.providers.len() || shared_count != started.providers.len();
        let sections = [
            ("listen", started.listen != new_config.listen),
            ("public_url", started.public_url != new_config.public_url),
            ("insecure", started.insecure != new_config.insecure),
            ("trusted_proxies", started.trusted_proxies != new_config.trusted_proxies),
            ("region or numbers", started.phone != new_config.phone),
            ("allow_premium_numbers", started.allow_premium_numbers != new_config.allow_premium_numbers),
            ("mask_numbers", started.mask_numbers != new_config.mask_numbers),
            (
                "used_channels",
                started.used_channels != new_config.used_channels
                    || started.has_used_channels != new_config.has_used_channels,
            ),
            (
                "store",
                started.store_url != new_config.store_url
                    || started.store_replica_url != new_config.store_replica_url
                    || started.store_connections != new_config.store_connections,
            ),
            (
                "queue",
                started.queue_url != new_config.queue_url || started.queue_window != new_config.queue_window,
            ),
            ("cache", started.cache_url != new_config.cache_url),
            ("work", started.work != new_config.work),
            ("schedule", started.schedule != new_config.schedule),
            ("limits", started.limits != new_config.limits),
            ("throttle", started.user_per_hour != new_config.user_per_hour),
            ("events", started.events != new_config.events),
            ("channels", started.channels != new_config.channels),
            ("providers", has_other_providers),
        ];
        sections.into_iter().filter(|(_, is_changed)| *is_changed).map(|(name, _)| name.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests;
