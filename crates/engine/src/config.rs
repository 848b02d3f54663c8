//! What the program needs to know before it starts: file, then environment, then command line, checked as a whole.
//!
//! A wrong key, value or relation stops the start with an error that names the place and the remedy. The only
//! module that reads the environment. Never prints a secret, never opens a store, queue, cache or provider.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use postrider_core::channel::{Channel, ConfigName};
use postrider_core::recipient::PhoneRules;
use postrider_core::retry::RetryPolicy;

mod check;
mod duration;
mod environment;
mod events;
pub mod keys;
mod legacy_environment;
mod load;
mod provider_aliases;
mod secret;
mod source;
mod table_reader;
mod tables;

pub use check::{LEASE_MARGIN, check_listen_address};
pub use duration::{format_duration, parse_duration, round_up_to_seconds};
pub use environment::Environment;
pub use events::{ApiKeyEvents, EventsConfig};
pub use secret::mask_url;

/// All that is configured. Built once, then never changed.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// Where `serve` listens.
    pub listen: SocketAddr,
    /// How the outside reaches us, without a slash at the end: providers are told to send receipts there.
    pub public_url: String,
    /// Whether an address other than loopback may be served without keys.
    pub insecure: bool,
    /// How phone numbers are read.
    pub phone: PhoneRules,
    /// Whether pages show `+98912***2222` instead of the whole number.
    pub mask_numbers: bool,
    /// `sqlite:PATH` or `postgres://HOST:PORT/DATABASE`.
    pub store_url: String,
    /// Where reads that may be old go; none: to the store itself.
    pub store_replica_url: Option<String>,
    /// The most connections to each server of a store on servers.
    pub store_connections: usize,
    /// `memory:`, or a Redis in one of its forms.
    pub queue_url: String,
    /// How many ids the queue holds at most; the store holds the rest.
    pub queue_window: usize,
    /// `memory:` or `memcache://HOST:PORT`.
    pub cache_url: String,
    /// How deliveries are worked off.
    pub work: WorkConfig,
    /// What `serve` does by itself from time to time.
    pub schedule: ScheduleConfig,
    /// What a client may ask of us.
    pub limits: LimitsConfig,
    /// The most messages that expect an answer, to one user in any hour; 0 is no limit.
    pub user_per_hour: u32,
    /// How clients are told what becomes of their messages.
    pub events: EventsConfig,
    /// The channels, in the order of their names.
    pub channels: Vec<Channel>,
    /// The channels of messages that name none; never empty where there are channels.
    pub used_channels: Vec<ConfigName>,
    /// Whether somebody chose them. If not, they are all channels, and only the inbox face sends over all.
    pub has_used_channels: bool,
    /// The providers, in the order of their names. Disabled ones are left out.
    pub providers: Vec<ProviderConfig>,
    /// Who may call us. Empty: anybody who can reach us.
    pub keys: Vec<ApiKey>,
    /// Whether no provider was configured, so that two mocks stand in and nothing really leaves.
    pub is_test_mode: bool,
}

/// How deliveries are worked off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkConfig {
    /// The most calls to providers in flight at once.
    pub concurrency: usize,
    /// How long a claim lasts. Longer than the slowest possible round of any channel.
    pub lease: Duration,
    /// How long requests and calls in flight may take to end after SIGTERM.
    pub grace: Duration,
}

/// What `serve` does by itself. None: never, cron does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleConfig {
    /// How often what is due is put into the queue again.
    pub resend: Option<Duration>,
    /// How often the report is brought up to date.
    pub report: Option<Duration>,
}

/// What a client may ask of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// The longest request body.
    pub body_bytes_max: usize,
    /// The longest request head: request line and headers.
    pub header_bytes_max: usize,
    /// The most open connections.
    pub connections_max: usize,
    /// How long a client may take to send a request's head.
    pub header_timeout: Duration,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// How long a connection may lie idle between two requests.
    pub idle_timeout: Duration,
    /// The longest message body, in characters. The default is what the large carriers of text messages take
    /// in one call: ten parts of plain text and a little more.
    pub message_chars_max: usize,
    /// The most lines on one page of a list.
    pub page_limit_max: usize,
    /// How long the answer to a request with an idempotency key is kept.
    pub idempotency_keep: Duration,
}

/// A configured account at someone who carries messages.
#[derive(Clone, PartialEq)]
pub struct ProviderConfig {
    /// Its name.
    pub name: ConfigName,
    /// The most message parts per second, from all hosts together; none: as many as it takes.
    pub rate: Option<f64>,
    /// The most calls in flight.
    pub concurrency: usize,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a whole call may take, connecting included.
    pub timeout: Duration,
    /// After so many consecutive failures it rests.
    pub breaker_failure_threshold: u32,
    /// How long its first rest is.
    pub breaker_open_duration: Duration,
    /// Which adapter speaks to it: `mock`, `http`, …
    pub kind: String,
    /// The kind's own keys, secrets resolved. Never print it; print the [`ProviderConfig`].
    pub settings: toml::Table,
    /// The kind's own keys as they may be shown.
    masked_settings: toml::Table,
}

impl ProviderConfig {
    /// An account with the default limits.
    pub fn new(name: ConfigName, kind: &str, settings: toml::Table) -> Self {
        let shown = secret::mask_table(&settings);
        Self {
            name,
            rate: None,
            // A call to a mail server is a connection of its own, and servers allow few.
            concurrency: if kind == "smtp" { 8 } else { 256 },
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            breaker_failure_threshold: 5,
            breaker_open_duration: Duration::from_secs(30),
            kind: kind.to_owned(),
            settings,
            masked_settings: shown,
        }
    }

    /// Every text in its settings that must not be shown, for those who mask what they show.
    pub fn secret_values(&self) -> Vec<String> {
        secret::collect_secrets(&self.settings, &self.masked_settings)
    }
}

/// One who may call us.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Who, for the log.
    pub name: String,
    /// SHA-256 of the key itself, which is kept nowhere.
    pub sha256: [u8; 32],
    /// What they may do.
    pub scopes: Vec<Scope>,
    /// The most messages that expect an answer, to one user in any hour, of this key alone; 0 is no limit, none
    /// leaves it to the channel.
    pub user_per_hour: Option<u32>,
    /// How this key's events are told.
    pub events: ApiKeyEvents,
}

impl ApiKey {
    /// Whether this key opens that door. `admin` opens every door.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Sending messages.
    Send,
    /// Reading messages, the report and the pages.
    Read,
    /// Everything.
    Admin,
}

impl Scope {
    /// Every scope, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Send, Self::Read, Self::Admin];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl Default for WorkConfig {
    fn default() -> Self {
        Self {
            concurrency: 256,
            lease: Duration::from_secs(60),
            grace: Duration::from_secs(20),
        }
    }
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            resend: Some(Duration::from_secs(60)),
            report: Some(Duration::from_secs(20 * 60)),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 * 1024,
            header_bytes_max: 16 * 1024,
            connections_max: 10_000,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            message_chars_max: 1_600,
            page_limit_max: 100,
            idempotency_keep: Duration::from_secs(24 * 3600),
        }
    }
}

impl Config {
    /// What a start without file and environment gets: loopback, SQLite in the working directory, and two mock
    /// providers that take turns on the channel `sms`, so that failover can be seen and nothing really leaves.
    pub fn test_mode() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let providers = tables::mock_providers();
        let channels: Vec<Channel> = tables::default_channel(&providers, &RetryPolicy::default())
            .into_iter()
            .collect();
        Self {
            listen,
            public_url: format!("http://{listen}"),
            insecure: false,
            phone: PhoneRules::default(),
            mask_numbers: true,
            store_url: "sqlite:postrider.db".to_owned(),
            store_replica_url: None,
            store_connections: 16,
            queue_url: "memory:".to_owned(),
            queue_window: 50_000,
            cache_url: "memory:".to_owned(),
            work: WorkConfig::default(),
            schedule: ScheduleConfig::default(),
            limits: LimitsConfig::default(),
            user_per_hour: 300,
            events: EventsConfig::default(),
            used_channels: channels.iter().map(|channel| channel.name.clone()).collect(),
            has_used_channels: false,
            channels,
            providers,
            keys: Vec::new(),
            is_test_mode: true,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Config")
            .field("listen", &self.listen)
            .field("public_url", &self.public_url)
            .field("insecure", &self.insecure)
            .field("phone", &self.phone)
            .field("mask_numbers", &self.mask_numbers)
            .field("store_url", &mask_url(&self.store_url))
            .field(
                "store_replica_url",
                &self.store_replica_url.as_deref().map(mask_url),
            )
            .field("store_connections", &self.store_connections)
            .field("queue_url", &mask_url(&self.queue_url))
            .field("queue_window", &self.queue_window)
            .field("cache_url", &mask_url(&self.cache_url))
            .field("work", &self.work)
            .field("schedule", &self.schedule)
            .field("limits", &self.limits)
            .field("user_per_hour", &self.user_per_hour)
            .field("events", &self.events)
            .field("channels", &self.channels)
            .field("used_channels", &self.used_channels)
            .field("names_used_channels", &self.has_used_channels)
            .field("providers", &self.providers)
            .field("keys", &self.keys)
            .field("sandbox", &self.is_test_mode)
            .finish()
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ProviderConfig")
            .field("name", &self.name)
            .field("rate", &self.rate)
            .field("concurrency", &self.concurrency)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("rest_after", &self.breaker_failure_threshold)
            .field("rest_for", &self.breaker_open_duration)
            .field("kind", &self.kind)
            .field("settings", &self.masked_settings)
            .finish()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Key")
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .field("user_per_hour", &self.user_per_hour)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
