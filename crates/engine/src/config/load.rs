//! Loads a checked [`Config`] from file, environment and command line.
//!
//! Opens nothing, so that an invalid configuration prevents the start before anything is changed.

use postrider_core::address::{PhoneRegion, PhoneRules, PhoneStrictness};
use postrider_core::error::Result;
use postrider_core::retry::RetryPolicy;
use std::net::SocketAddr;
use std::path::Path;


use super::api_keys::read_api_keys;
use super::channels::{read_channels, read_used_channels};
use super::check::{check_relations, collect_warnings};
use super::environment::Environment;
use super::events::read_events;
use super::legacy_environment::apply_channel_variables;
use super::providers::read_providers;
use super::retry::read_retry;
use super::source::ConfigSource;
use super::table_reader::TableReader;
use super::test_mode::mock_providers;
use super::types::{Config, LimitsConfig, ScheduleConfig, WorkConfig};

impl Config {
    /// Reads the file, applies the environment and then the `overrides` of the command line (by path, as in
    /// `("listen", "0.0.0.0:80")`), and checks the result. Without any of them it is [`Config::test_mode`].
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
        let mut source = ConfigSource::read(file, environment, overrides)?;
        let legacy_warnings = apply_channel_variables(&mut source, environment)?;
        let top = TableReader::root(&source);
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
        config.used_channels = read_used_channels(&top, &config.channels)?;
        config.has_used_channels = !top.list("used_channels")?.is_empty();
        config.read_top(&top)?;
        config.read_backends(&top)?;
        config.work = read_work(&top.section("work")?, &config.work)?;
        config.schedule = read_schedule(&top.section("schedule")?, &config.schedule)?;
        config.limits = read_limits(&top.section("limits")?, &config.limits)?;
        let throttle = top.section("throttle")?;
        throttle.reject_unknown_keys()?;
        config.user_per_hour = throttle.count("user_per_hour")?.unwrap_or(config.user_per_hour);
        check_relations(&config, &source)?;
        let mut warnings = source.unknown_variables(environment);
        warnings.extend(legacy_warnings);
        warnings.extend(collect_warnings(&config));
        Ok((config, warnings))
    }

    fn read_top(&mut self, top: &TableReader<'_>) -> Result<()> {
        if let Some(text) = top.text("listen")? {
            self.listen = text.parse::<SocketAddr>().map_err(|_| {
                top.error_at(
                    "listen",
                    "must be an address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"",
                )
            })?;
        }
        self.public_url = match top.text("public_url")? {
            None | Some("") => format!("http://{}", self.listen),
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                url.trim_end_matches('/').to_owned()
            }
            Some(_) => return Err(top.error_at("public_url", "must begin with http:// or https://")),
        };
        self.insecure = top.flag("insecure")?.unwrap_or(self.insecure);
        self.mask_numbers = top.flag("mask_numbers")?.unwrap_or(self.mask_numbers);
        self.phone = read_phone_rules(top)?;
        Ok(())
    }

    fn read_backends(&mut self, top: &TableReader<'_>) -> Result<()> {
        let store = top.section("store")?;
        let queue = top.section("queue")?;
        let cache = top.section("cache")?;
        for section in [&store, &queue, &cache] {
            section.reject_unknown_keys()?;
        }
        let url = |section: &TableReader<'_>, default: &str| {
            Ok::<_, postrider_core::error::Error>(section.text("url")?.unwrap_or(default).to_owned())
        };
        self.store_url = url(&store, &self.store_url)?;
        let replica = store.text("replica_url")?.filter(|url| !url.is_empty());
        self.store_replica_url = replica.map(str::to_owned);
        self.store_connections = store.count("connections")?.unwrap_or(self.store_connections);
        self.queue_url = url(&queue, &self.queue_url)?;
        self.cache_url = url(&cache, &self.cache_url)?;
        self.queue_window = queue.count("window")?.unwrap_or(self.queue_window);
        Ok(())
    }
}

fn read_phone_rules(top: &TableReader<'_>) -> Result<PhoneRules> {
    let defaults = PhoneRules::default();
    let region = match top.text("region")? {
        None => defaults.region,
        Some(text) => PhoneRegion::parse(text).ok_or_else(|| {
            top.error_at("region", "must be a country's two capital letters, such as \"IR\" or \"DE\"")
        })?,
    };
    let strictness = match top.choice("numbers")? {
        Some("valid") => PhoneStrictness::Valid,
        _ => PhoneStrictness::Possible,
    };
    Ok(PhoneRules { region, strictness })
}

fn read_work(values: &TableReader<'_>, defaults: &WorkConfig) -> Result<WorkConfig> {
    values.reject_unknown_keys()?;
    Ok(WorkConfig {
        concurrency: values.count("concurrency")?.unwrap_or(defaults.concurrency),
        lease: values.duration("lease")?.unwrap_or(defaults.lease),
        grace: values.duration("grace")?.unwrap_or(defaults.grace),
    })
}

fn read_schedule(values: &TableReader<'_>, defaults: &ScheduleConfig) -> Result<ScheduleConfig> {
    values.reject_unknown_keys()?;
    Ok(ScheduleConfig {
        resend: values.duration_or_never("resend")?.unwrap_or(defaults.resend),
        report: values.duration_or_never("report")?.unwrap_or(defaults.report),
    })
}

fn read_limits(values: &TableReader<'_>, defaults: &LimitsConfig) -> Result<LimitsConfig> {
    values.reject_unknown_keys()?;
    Ok(LimitsConfig {
        body_bytes_max: values.count("body_bytes_max")?.unwrap_or(defaults.body_bytes_max),
        header_bytes_max: values.count("header_bytes_max")?.unwrap_or(defaults.header_bytes_max),
        connections_max: values.count("connections_max")?.unwrap_or(defaults.connections_max),
        header_timeout: values.duration("header_timeout")?.unwrap_or(defaults.header_timeout),
        body_timeout: values.duration("body_timeout")?.unwrap_or(defaults.body_timeout),
        idle_timeout: values.duration("idle_timeout")?.unwrap_or(defaults.idle_timeout),
        message_chars_max: values.count("message_chars_max")?.unwrap_or(defaults.message_chars_max),
        page_limit_max: values.count("page_limit_max")?.unwrap_or(defaults.page_limit_max),
        idempotency_keep: values.duration("idempotency_keep")?.unwrap_or(defaults.idempotency_keep),
    })
}
