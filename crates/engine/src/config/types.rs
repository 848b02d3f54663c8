//! Types of the configuration. Their `Debug` output never contains a secret.

use postrider_core::address::{PhoneRegion, PhoneRules};
use postrider_core::{channel::Channel, keywords::KeywordRules, name::ConfigName};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use strum::{EnumString, IntoStaticStr};

use super::account::Account;
use super::compat::CompatConfig;
use super::inbound_route::InboundRoute;
use super::secret::collect::collect_secrets;
use super::secret::mask::{collect_literal_secrets, mask_table, mask_url};
use super::setting_origins::SettingOrigins;
use postrider_providers::EgressPolicy;
use postrider_providers::webhook::SigningSecrets;

/// The complete configuration. Immutable after loading.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// Address on which `serve` listens.
    pub listen: SocketAddr,
    /// Base URL under which the gateway is reachable from outside, without a trailing slash; providers send
    /// receipts there.
    pub public_url: String,
    /// True if `serve` may listen on an address other than loopback without API keys.
    pub insecure: bool,
    /// Networks of trusted proxies. Connections from them are not limited by address, and their header
    /// `X-Forwarded-For` is used. Proxies on this machine are always trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Rules for parsing phone numbers.
    pub phone: PhoneRules,
    /// True if messages may be sent to premium-rate and shared-cost numbers.
    pub allow_premium_numbers: bool,
    /// True if pages show `+98912***2222` instead of the whole number.
    pub mask_numbers: bool,
    /// Settings of the log.
    pub log: LogConfig,
    /// URL of the store: `sqlite:PATH` or `postgres://HOST:PORT/DATABASE`.
    pub store_url: String,
    /// URL of a replica for reads that may be stale; `None` reads from the store itself.
    pub store_replica_url: Option<String>,
    /// Maximum number of connections to each PostgreSQL server.
    pub store_connections: usize,
    /// URL of the queue: `memory:` or a Redis URL.
    pub queue_url: String,
    /// Maximum number of entries in the queue; the store keeps the remaining deliveries.
    pub queue_window: usize,
    /// URL of the cache: `memory:` or `memcache://HOST:PORT`.
    pub cache_url: String,
    /// Worker settings.
    pub work: WorkConfig,
    /// Scheduled jobs that `serve` runs itself.
    pub schedule: ScheduleConfig,
    /// Limits of requests and connections.
    pub limits: LimitsConfig,
    /// Maximum number of messages to one user in a rolling hour that expect an answer; 0 means no limit.
    pub user_per_hour: u32,
    /// Webhook events.
    pub events: EventsConfig,
    /// APIs with the wire of other gateways.
    pub compat: CompatConfig,
    /// Channels, ordered by name.
    pub channels: Vec<Channel>,
    /// Channels of messages that name no channel; empty only if no channel is configured.
    pub used_channels: Vec<ConfigName>,
    /// True if `used_channels` is configured. Otherwise `used_channels` contains all channels, and only the inbox API sends
    /// over all channels.
    pub has_used_channels: bool,
    /// Enabled providers, ordered by name.
    pub providers: Vec<ProviderConfig>,
    /// Opt-out, opt-in and help keywords of inbound messages.
    pub keywords: KeywordRules,
    /// Routes of inbound messages.
    pub inbound_routes: Vec<InboundRoute>,
    /// API keys. If empty, requests need no key. A running gateway uses `Gateway::api_keys`, because a reload
    /// replaces them.
    pub keys: Vec<ApiKey>,
    /// True if no provider is configured, so that two mock providers are used and nothing is really sent.
    pub is_test_mode: bool,
}

impl Config {
    /// Returns whether a connection from this address may come from a trusted proxy: this machine, or a network in
    /// [`Config::trusted_proxies`].
    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.trusted_proxies.iter().any(|network| network.contains(&address))
    }
}

/// Settings of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// Format of a record.
    pub format: LogFormat,
    /// Filter by level and module, such as `warn,postrider=debug`; empty means the default of the command.
    pub filter: String,
}

/// Format of a log record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line of text.
    #[default]
    Text,
    /// A JSON object on one line.
    Json,
}

/// Worker settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WorkConfig {
    /// Maximum number of calls to providers in flight.
    pub concurrency: usize,
    /// Lease of a claimed delivery. Longer than the slowest possible round of any channel.
    pub lease: Duration,
    /// Time that requests and calls in flight have to end after SIGTERM.
    pub grace: Duration,
}

/// Scheduled jobs that `serve` runs itself; `None` leaves a job to cron.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleConfig {
    /// Interval at which due deliveries are pushed to the queue.
    pub resend: Option<Duration>,
    /// Interval at which the report is synchronised.
    pub report: Option<Duration>,
}

/// Limits of requests and connections.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LimitsConfig {
    /// Maximum size of a request body.
    pub body_bytes_max: usize,
    /// Maximum number of bytes of all request bodies in memory together; more are answered with 503.
    pub body_bytes_in_flight_max: usize,
    /// Maximum size of the request line and headers together.
    pub header_bytes_max: usize,
    /// Maximum number of open connections.
    pub connections_max: usize,
    /// Maximum number of open connections of one address, except this machine and [`Config::trusted_proxies`].
    pub connections_per_peer_max: usize,
    /// Number of wrong API keys a minute after which an address has to wait; 0 means no limit.
    pub wrong_keys_per_minute: u32,
    /// Time that a client has to send the request line and headers.
    pub header_timeout: Duration,
    /// Time that a client has to send the request body.
    pub body_timeout: Duration,
    /// Time that a connection may be idle between two requests.
    pub idle_timeout: Duration,
    /// Maximum length of a message body, in characters. Large SMS providers take the default in one call.
    pub message_chars_max: usize,
    /// Maximum number of text parts of a message to a phone number. The default fits 1,000 characters of
    /// any alphabet of the BMP; a phone shows no more than 255 parts as one message.
    pub message_parts_max: u32,
    /// Maximum number of items on one page of a list.
    pub page_limit_max: usize,
    /// Number of bounces without a delivery after which an email address becomes inactive; 0 means never.
    pub soft_bounces_max: usize,
    /// Time that the answer for an idempotency key is kept.
    pub idempotency_keep: Duration,
}

/// A configured provider.
#[derive(Clone, PartialEq)]
pub struct ProviderConfig {
    /// Name of the provider.
    pub name: ConfigName,
    /// Maximum number of message parts per second, for all processes together; `None` means no limit.
    pub rate: Option<f64>,
    /// Share of `rate` that may be sent at once, at least one part.
    pub burst: f64,
    /// Maximum number of calls in flight.
    pub concurrency: usize,
    /// Timeout for connecting.
    pub connect_timeout: Duration,
    /// Timeout of a whole call, connecting included.
    pub timeout: Duration,
    /// Number of times that a message is sent again after an `unknown` outcome of this provider; `None` leaves it to the
    /// channel. The smaller of the two numbers holds.
    pub unknown_retries: Option<u32>,
    /// Minimum number of failures that opens the circuit breaker, if they are half of the latest calls.
    pub breaker_failure_threshold: u32,
    /// Time for which the circuit breaker stays open the first time.
    pub breaker_open_duration: Duration,
    /// Maximum cooldown that the provider can ask for.
    pub cooldown_max: Duration,
    /// Name of the adapter: `mock`, `http`, …
    pub kind: String,
    /// Settings of the adapter, with secrets resolved. Do not print them; print the [`ProviderConfig`].
    pub settings: toml::Table,
    /// Settings of the adapter with secrets masked.
    pub(super) masked_settings: toml::Table,
    /// Values of the placeholders in the settings.
    pub(super) placeholder_values: Vec<String>,
    /// Lines of the settings in the configuration file.
    pub setting_origins: SettingOrigins,
}

impl ProviderConfig {
    /// Creates a provider with the default limits.
    pub fn new(name: ConfigName, kind: &str, settings: toml::Table) -> Self {
        let masked_settings = mask_table(&settings);
        Self {
            name,
            rate: None,
            // Providers count in fixed seconds. A burst across the edge of two seconds would be refused as too fast.
            burst: 0.05,
            // Each call to a mail server needs its own connection, and many mail servers allow few connections.
            concurrency: if kind == "smtp" { 8 } else { 256 },
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            unknown_retries: None,
            breaker_failure_threshold: 5,
            breaker_open_duration: Duration::from_secs(30),
            // Some providers state hours or a day by mistake. A quota that lasts longer is probed every 15 minutes.
            cooldown_max: Duration::from_secs(15 * 60),
            kind: kind.to_owned(),
            settings,
            masked_settings,
            placeholder_values: Vec::new(),
            setting_origins: SettingOrigins::default(),
        }
    }

    /// Returns the maximum duration of a call, connecting included.
    pub fn call_duration_max(&self) -> Duration {
        self.connect_timeout + self.timeout
    }

    /// Returns whether kind and limits are equal; the settings of the adapter may differ.
    pub fn has_same_limits(&self, other: &Self) -> bool {
        let without_settings = |config: &Self| Self {
            settings: toml::Table::new(),
            masked_settings: toml::Table::new(),
            ..config.clone()
        };
        without_settings(self) == without_settings(other)
    }

    /// Returns every secret text in the settings, for callers that mask their output.
    pub fn secret_values(&self) -> Vec<String> {
        let mut secrets = self.placeholder_values.iter().cloned().collect();
        collect_secrets(&self.settings, &mut secrets);
        collect_literal_secrets(&self.settings, &mut secrets);
        secrets.into_iter().collect()
    }
}

/// Settings of webhook events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsConfig {
    /// Signing secrets for calls to a `callback_url`; without signing secrets no message can have a `callback_url`.
    pub secrets: SigningSecrets,
    /// Allowed targets of calls.
    pub egress_policy: EgressPolicy,
    /// Maximum number of calls in flight.
    pub concurrency: usize,
    /// Maximum number of calls in flight to one endpoint.
    pub concurrency_per_endpoint: usize,
    /// Timeout of a whole call.
    pub timeout: Duration,
    /// Delay after each failed delivery attempt; after the last delay the event becomes a dead letter.
    pub retry_schedule: Vec<Duration>,
    /// Age at which an event becomes a dead letter, even if attempts remain.
    pub age_max: Duration,
}

impl Default for EventsConfig {
    fn default() -> Self {
        let retry_minutes = [5, 30, 120, 300, 600, 840, 1_200, 1_440];
        let retry_delays = retry_minutes.map(|minutes| Duration::from_secs(minutes * 60));
        Self {
            secrets: SigningSecrets::default(),
            egress_policy: EgressPolicy::default(),
            concurrency: 32,
            concurrency_per_endpoint: 4,
            timeout: Duration::from_secs(15),
            retry_schedule: [&[Duration::from_secs(5)], retry_delays.as_slice()].concat(),
            age_max: Duration::from_secs(96 * 3600),
        }
    }
}

/// Event settings of one API key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyEvents {
    /// Webhook endpoint for the events of messages without a `callback_url`.
    pub url: Option<String>,
    /// Signing secrets for the events of this key; if empty, the signing secrets of `[events]` are used.
    pub secrets: SigningSecrets,
}

/// An API key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Name of the caller, for the log.
    pub name: String,
    /// SHA-256 of the key; the key itself is not stored. `None` for an account that has only other credentials.
    pub sha256: Option<[u8; 32]>,
    /// Scopes of the key.
    pub scopes: Vec<Scope>,
    /// Maximum number of messages with this key to one user in a rolling hour that expect an answer; 0 means
    /// no limit, `None` uses the channel's.
    pub user_per_hour: Option<u32>,
    /// Limits of what the key can spend.
    pub limits: ApiKeyLimits,
    /// True if the messages of this key belong to all shared keys together; false if they belong to this key alone.
    pub is_shared: bool,
    /// Webhook events of messages with this key.
    pub events: ApiKeyEvents,
    /// Credentials for compatible APIs and the SMPP server, and rules for what it sends.
    pub account: Account,
}

/// Limits of what an API key can spend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyLimits {
    /// Maximum number of text parts in a calendar minute, over all recipients; `None` means no limit.
    pub per_minute: Option<u32>,
    /// Maximum number of text parts on a day in UTC, over all recipients; `None` means no limit.
    pub per_day: Option<u32>,
    /// Maximum number of text parts in a calendar month in UTC, over all recipients; `None` means no limit.
    pub per_month: Option<u32>,
    /// Countries whose phone numbers the key sends to; empty for all.
    pub countries: Vec<PhoneRegion>,
}

impl ApiKey {
    /// Returns the owner of the messages that the key sends: its name, or an empty text for a shared key.
    pub fn owner(&self) -> &str {
        if self.is_shared { "" } else { &self.name }
    }

    /// Returns whether the key has the scope. `admin` includes every scope.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// A permission of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Scope {
    /// Send messages.
    Send,
    /// Read messages, the report and the pages.
    Read,
    /// Everything.
    Admin,
}

impl Scope {
    /// Returns the name in the configuration.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Default for WorkConfig {
    fn default() -> Self {
        Self { concurrency: 256, lease: Duration::from_secs(60), grace: Duration::from_secs(20) }
    }
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { resend: Some(Duration::from_secs(60)), report: Some(Duration::from_secs(20 * 60)) }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 * 1024,
            // Room for 1,000 bodies of the maximum size at once.
            body_bytes_in_flight_max: 64 * 1024 * 1024,
            header_bytes_max: 16 * 1024,
            connections_max: 10_000,
            // A tenth of all connections, so that it takes ten hosts to use them up.
            connections_per_peer_max: 1_000,
            wrong_keys_per_minute: 60,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            message_chars_max: 1_600,
            message_parts_max: 15,
            page_limit_max: 100,
            // Mailing lists commonly remove an address after three to seven bounces.
            soft_bounces_max: 5,
            idempotency_keep: Duration::from_secs(24 * 3600),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Config")
            .field("listen", &self.listen)
            .field("public_url", &self.public_url)
            .field("insecure", &self.insecure)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("phone", &self.phone)
            .field("allow_premium_numbers", &self.allow_premium_numbers)
            .field("mask_numbers", &self.mask_numbers)
            .field("log", &self.log)
            .field("store_url", &mask_url(&self.store_url))
            .field("store_replica_url", &self.store_replica_url.as_deref().map(mask_url))
            .field("store_connections", &self.store_connections)
            .field("queue_url", &mask_url(&self.queue_url))
            .field("queue_window", &self.queue_window)
            .field("cache_url", &mask_url(&self.cache_url))
            .field("work", &self.work)
            .field("schedule", &self.schedule)
            .field("limits", &self.limits)
            .field("user_per_hour", &self.user_per_hour)
            .field("events", &self.events)
            .field("compat", &self.compat)
            .field("channels", &self.channels)
            .field("used_channels", &self.used_channels)
            .field("has_used_channels", &self.has_used_channels)
            .field("providers", &self.providers)
            .field("keywords", &self.keywords)
            .field("inbound_routes", &self.inbound_routes)
            .field("keys", &self.keys)
            .field("is_test_mode", &self.is_test_mode)
            .finish()
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ProviderConfig")
            .field("name", &self.name)
            .field("rate", &self.rate)
            .field("burst", &self.burst)
            .field("concurrency", &self.concurrency)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("unknown_retries", &self.unknown_retries)
            .field("breaker_failure_threshold", &self.breaker_failure_threshold)
            .field("breaker_open_duration", &self.breaker_open_duration)
            .field("cooldown_max", &self.cooldown_max)
            .field("kind", &self.kind)
            .field("settings", &self.masked_settings)
            .finish()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ApiKey")
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .field("user_per_hour", &self.user_per_hour)
            .field("limits", &self.limits)
            .field("is_shared", &self.is_shared)
            .field("events", &self.events)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}
