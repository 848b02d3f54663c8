//! From file, environment and command line to one checked [`Config`].
//!
//! Reads and checks only; opens nothing, so a wrong configuration stops a start before it has touched
//! anything.

use std::net::SocketAddr;
use std::path::Path;

use phonenumber::country;

use super::environment::Environment;
use super::source::Source;
use super::values::Values;
use super::{Config, Limits, Schedule, Work, check, events, inherited, tables};
use crate::domain::recipient::{PhoneRules, Strictness};
use crate::domain::retry::Retry;
use crate::error::Result;

impl Config {
    /// Reads the file, lays the environment over it and the command line's overrides (by path, as in
    /// `("listen", "0.0.0.0:80")`) over both, and checks it as a whole. Without any of them it is
    /// [`Config::sandbox`].
    ///
    /// Beside the configuration it returns warnings for the log: what is odd, but no reason not to start.
    pub fn load(
        file: Option<&Path>,
        environment: &Environment,
        overrides: &[(&str, String)],
    ) -> Result<(Self, Vec<String>)> {
        let mut source = Source::read(file, environment, overrides)?;
        let stand_ins = inherited::lay_over(&mut source, environment)?;
        let top = Values::top(&source);
        top.refuse_unknown()?;
        let providers = tables::providers(&top, environment)?;
        let sandbox = providers.enabled.is_empty() && providers.disabled.is_empty();
        let providers = if sandbox {
            tables::Providers {
                enabled: tables::mocks(),
                disabled: Vec::new(),
            }
        } else {
            providers
        };
        let retry = retry(&top.section("retry")?, &Retry::default())?;
        let events = events::read(&top.section("events")?, environment)?;
        let mut config = Self {
            channels: tables::channels(&top, &providers, &retry)?,
            providers: providers.enabled,
            keys: tables::keys(&top, &events, environment)?,
            events,
            sandbox,
            ..Self::sandbox()
        };
        config.used_channels = tables::used_channels(&top, &config.channels)?;
        config.names_used_channels = !top.list("used_channels")?.is_empty();
        config.read_top(&top)?;
        config.read_edges(&top)?;
        config.work = work(&top.section("work")?, &config.work)?;
        config.schedule = schedule(&top.section("schedule")?, &config.schedule)?;
        config.limits = limits(&top.section("limits")?, &config.limits)?;
        let throttle = top.section("throttle")?;
        throttle.refuse_unknown()?;
        config.user_per_hour = throttle.count("user_per_hour")?.unwrap_or(config.user_per_hour);
        check::relations(&config, &source)?;
        let mut warnings = source.unknown_variables(environment);
        warnings.extend(stand_ins);
        warnings.extend(check::oddities(&config));
        Ok((config, warnings))
    }

    fn read_top(&mut self, top: &Values<'_>) -> Result<()> {
        if let Some(text) = top.text("listen")? {
            self.listen = text.parse::<SocketAddr>().map_err(|_| {
                top.fault(
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
            Some(_) => return Err(top.fault("public_url", "must begin with http:// or https://")),
        };
        self.insecure = top.flag("insecure")?.unwrap_or(self.insecure);
        self.mask_numbers = top.flag("mask_numbers")?.unwrap_or(self.mask_numbers);
        self.phone = phone(top)?;
        Ok(())
    }

    fn read_edges(&mut self, top: &Values<'_>) -> Result<()> {
        let store = top.section("store")?;
        let queue = top.section("queue")?;
        let cache = top.section("cache")?;
        for section in [&store, &queue, &cache] {
            section.refuse_unknown()?;
        }
        let url = |section: &Values<'_>, usual: &str| {
            Ok::<_, crate::error::Error>(section.text("url")?.unwrap_or(usual).to_owned())
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

fn phone(top: &Values<'_>) -> Result<PhoneRules> {
    let usual = PhoneRules::default();
    let region = match top.text("region")? {
        None => usual.region,
        Some(text) => text.parse::<country::Id>().map_err(|_| {
            top.fault(
                "region",
                "must be a country's two capital letters, such as \"IR\" or \"DE\"",
            )
        })?,
    };
    let strictness = match top.choice("numbers")? {
        Some("valid") => Strictness::Valid,
        _ => Strictness::Possible,
    };
    Ok(PhoneRules { region, strictness })
}

fn work(values: &Values<'_>, usual: &Work) -> Result<Work> {
    values.refuse_unknown()?;
    Ok(Work {
        workers_concurrency: values.count("concurrency")?.unwrap_or(usual.workers_concurrency),
        lease: values.duration("lease")?.unwrap_or(usual.lease),
        grace: values.duration("grace")?.unwrap_or(usual.grace),
    })
}

fn schedule(values: &Values<'_>, usual: &Schedule) -> Result<Schedule> {
    values.refuse_unknown()?;
    Ok(Schedule {
        resend: values.duration_or_never("resend")?.unwrap_or(usual.resend),
        report: values.duration_or_never("report")?.unwrap_or(usual.report),
    })
}

fn limits(values: &Values<'_>, usual: &Limits) -> Result<Limits> {
    values.refuse_unknown()?;
    Ok(Limits {
        body_bytes_max: values.count("body_bytes_max")?.unwrap_or(usual.body_bytes_max),
        header_bytes_max: values
            .count("header_bytes_max")?
            .unwrap_or(usual.header_bytes_max),
        connections_max: values.count("connections_max")?.unwrap_or(usual.connections_max),
        header_timeout: values.duration("header_timeout")?.unwrap_or(usual.header_timeout),
        body_timeout: values.duration("body_timeout")?.unwrap_or(usual.body_timeout),
        idle_timeout: values.duration("idle_timeout")?.unwrap_or(usual.idle_timeout),
        message_chars_max: values
            .count("message_chars_max")?
            .unwrap_or(usual.message_chars_max),
        page_limit_max: values.count("page_limit_max")?.unwrap_or(usual.page_limit_max),
        idempotency_keep: values
            .duration("idempotency_keep")?
            .unwrap_or(usual.idempotency_keep),
    })
}

/// Reads a table of retry numbers; what it leaves out is as in `usual`.
pub(super) fn retry(values: &Values<'_>, usual: &Retry) -> Result<Retry> {
    values.refuse_unknown()?;
    let retry = Retry {
        base: values.duration("base")?.unwrap_or(usual.base),
        factor: values.number("factor")?.unwrap_or(usual.factor),
        cap: values.duration("cap")?.unwrap_or(usual.cap),
        tries_max: values.count("max_tries")?.unwrap_or(usual.tries_max),
        age_max: values.duration("max_age")?.unwrap_or(usual.age_max),
    };
    if !(1.0..=100.0).contains(&retry.factor) {
        return Err(values.fault("factor", "must be from 1 to 100: waits do not shrink"));
    }
    if retry.base > retry.cap {
        return Err(values.fault(
            "cap",
            "is shorter than base, the first wait; raise cap or lower base",
        ));
    }
    Ok(retry)
}
