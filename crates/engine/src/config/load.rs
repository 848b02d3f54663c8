//! Loads a checked [`Config`] from file, environment and command line.
//!
//! Opens nothing, so that an invalid configuration prevents the start before anything is changed.

use postrider_core::address::{PhoneRegion, PhoneRules, PhoneStrictness};
use postrider_core::{error::Result, retry::RetryPolicy};
use std::{net::SocketAddr, path::Path};

use super::channels::{read_channels, read_used_channels};
use super::check::{check_relations, collect_warnings};
use super::compat::read_compat;
use super::inbound::{RouteContext, read_inbound_routes};
use super::keywords::read_keywords;
use super::types::{Config, ScheduleConfig};
use super::{
    api_keys::read_api_keys, environment::Environment, events::read_events,
    legacy_environment::apply_channel_variables, providers::read_providers, retry::read_retry,
    source::ConfigSource, table_reader::TableReader, test_mode::mock_providers,
};
use postrider_providers::parse_network;

impl Config {
    /// Reads the file, applies the environment and then the `overrides` of the command line (by path, as in
    /// `("listen", "0.0.0.0:80")`), and checks the result. Without file, environment and overrides the result is
    /// [`Config::test_mode`].
    ///
    /// Also returns warnings for the log: settings that are unusual but do not prevent the start.
    ///
    /// # Errors
    ///
    /// Returns an error with the origin and the remedy for an unreadable file, an unknown key, an invalid
    /// value or a violated relation.
    pub fn load(
        file: Option<&Path>,
        environment: &Environment,
        overrides: &[(&str, String)],
    ) -> Result<(Self, Vec<String>)> {
        let mut config_source = ConfigSource::read(file, environment, overrides)?;
        let legacy_warnings = apply_channel_variables(&mut config_source, environment)?;
        let top = TableReader::root(&config_source);
        top.reject_unknown_keys()?;
        let mut providers = read_providers(&top, environment)?;
        let is_test_mode = providers.enabled.is_empty() && providers.disabled.is_empty();
        if is_test_mode {
            providers.enabled = mock_providers();
        }
        let retry = read_retry(&top.section("retry")?, &RetryPolicy::default())?;
        let events = read_events(&top.section("events")?, environment)?;
        let mut config = Self {
            channels: read_channels(&top, &providers, &retry)?,
            providers: providers.enabled,
            keys: read_api_keys(&top, &events, environment)?,
            events,
            is_test_mode,
            ..Self::test_mode()
        };
        config.keywords = read_keywords(&top, &config.channels)?;
        let context = RouteContext {
            channels: &config.channels,
            providers: &config.providers,
            keys: &config.keys,
            events: &config.events,
        };
        config.inbound_routes = read_inbound_routes(&top, &context)?;
        config.used_channels = read_used_channels(&top, &config.channels)?;
        config.has_used_channels = !top.list("used_channels")?.is_empty();
        config.read_top(&top)?;
        config.read_backends(&top)?;
        config.work = top.section("work")?.read()?;
        config.schedule = read_schedule(&top.section("schedule")?, &config.schedule)?;
        config.limits = top.section("limits")?.read()?;
        config.compat = read_compat(&top.section("compat")?)?;
        let throttle = top.section("throttle")?;
        throttle.reject_unknown_keys()?;
        config.user_per_hour = throttle.get("user_per_hour")?.unwrap_or(config.user_per_hour);
        check_relations(&config, &config_source)?;
        let mut warnings = config_source.unknown_variables(environment);
        warnings.extend(config_source.empty_file_warning());
        warnings.extend(legacy_warnings);
        warnings.extend(collect_warnings(&config));
        Ok((config, warnings))
    }

    fn read_top(&mut self, top: &TableReader<'_>) -> Result<()> {
        if let Some(listen) = top.get::<String>("listen")? {
            self.listen = listen.parse::<SocketAddr>().map_err(|_| {
                top.error_at(
                    "listen",
                    "must be an address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"",
                )
            })?;
        }
        self.public_url = match top.get::<String>("public_url")?.unwrap_or_default() {
            url if url.is_empty() => format!("http://{}", self.listen),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                url.trim_end_matches('/').to_owned()
            }
            _ => return Err(top.error_at("public_url", "must begin with http:// or https://")),
        };
        self.insecure = top.get("insecure")?.unwrap_or(self.insecure);
        self.allow_premium_numbers = top.get("allow_premium_numbers")?.unwrap_or(self.allow_premium_numbers);
        let proxies = top.list("trusted_proxies")?;
        let proxies = proxies.iter().map(|network| parse_network(network));
        self.trusted_proxies = proxies
            .collect::<std::result::Result<_, _>>()
            .map_err(|cause| top.error_at("trusted_proxies", &format!("is invalid: {cause}")))?;
        self.mask_numbers = top.get("mask_numbers")?.unwrap_or(self.mask_numbers);
        self.phone = read_phone_rules(top)?;
        self.log = top.section("log")?.read()?;
        Ok(())
    }

    fn read_backends(&mut self, top: &TableReader<'_>) -> Result<()> {
        let [store, queue, cache] = [top.section("store")?, top.section("queue")?, top.section("cache")?];
        for section in [&store, &queue, &cache] {
            section.reject_unknown_keys()?;
        }
        for (section, url) in
            [(&store, &mut self.store_url), (&queue, &mut self.queue_url), (&cache, &mut self.cache_url)]
        {
            if let Some(configured_url) = section.get("url")? {
                *url = configured_url;
            }
        }
        for (section, is_valid, remedy) in [
            (
                &store,
                has_scheme(&self.store_url, &["sqlite:", "postgres://", "postgresql://"]),
                "must begin with \"sqlite:\" or \"postgres://\", such as \"sqlite:postrider.db\"",
            ),
            (
                &queue,
                has_scheme(&self.queue_url, &["memory:", "redis", "valkey", "unix:"]),
                "must be \"memory:\" or begin with \"redis://\", such as \"redis://127.0.0.1:6379/0\"",
            ),
            (
                &cache,
                has_scheme(&self.cache_url, &["memory:", "memcache:"]),
                "must be \"memory:\" or begin with \"memcache://\", such as \"memcache://127.0.0.1:11211\"",
            ),
        ] {
            if !is_valid {
                return Err(section.error_at("url", remedy));
            }
        }
        self.store_replica_url = store.get("replica_url")?.filter(|url: &String| !url.is_empty());
        self.store_connections = store.get("connections")?.unwrap_or(self.store_connections);
        self.queue_window = queue.get("window")?.unwrap_or(self.queue_window);
        Ok(())
    }
}

/// Returns whether a URL begins with one of these texts. The backend parses the rest when it is opened.
fn has_scheme(url: &str, schemes: &[&str]) -> bool {
    schemes.iter().any(|scheme| url.starts_with(scheme))
}

fn read_phone_rules(top: &TableReader<'_>) -> Result<PhoneRules> {
    let region = match top.get::<String>("region")? {
        None => PhoneRules::default().region,
        Some(country_code) => PhoneRegion::parse(&country_code).ok_or_else(|| {
            top.error_at("region", "must be a country's two capital letters, such as \"IR\" or \"DE\"")
        })?,
    };
    let strictness = match top.get::<String>("numbers")?.as_deref() {
        Some("valid") => PhoneStrictness::Valid,
        _ => PhoneStrictness::Possible,
    };
    Ok(PhoneRules { region, strictness })
}

fn read_schedule(section: &TableReader<'_>, defaults: &ScheduleConfig) -> Result<ScheduleConfig> {
    section.reject_unknown_keys()?;
    Ok(ScheduleConfig {
        resend: section.duration_or_never("resend")?.unwrap_or(defaults.resend),
        report: section.duration_or_never("report")?.unwrap_or(defaults.report),
    })
}
