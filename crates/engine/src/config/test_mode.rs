//! Defaults of a configuration without providers or channels: test mode, in which nothing is sent over a network.

use postrider_core::address::{AddressKind, PhoneRules};
use postrider_core::channel::{Addressing, Channel};
use postrider_core::retry::{RetryPolicy, UNKNOWN_RETRIES_DEFAULT};
use postrider_core::{keywords::KeywordRules, priority::Priority, routing::RoutingStrategy};
use std::net::SocketAddr;

use toml::Value;

use super::compat::CompatConfig;
use super::types::{
    Config, EventsConfig, LimitsConfig, LogConfig, ProviderConfig, ScheduleConfig, WorkConfig,
};

/// Returns two mock providers with a failure rate that makes failover visible.
pub(super) fn mock_providers() -> Vec<ProviderConfig> {
    let mock_settings = |mean_time: &str| {
        toml::Table::from_iter([
            ("mean_time".to_owned(), Value::from(mean_time)),
            ("failure_rate".to_owned(), Value::from(0.1)),
            ("receipts".to_owned(), Value::from("delivered")),
            ("receipt_delay".to_owned(), Value::from("2s")),
        ])
    };
    [("mock-blue", "30ms"), ("mock-red", "50ms")]
        .into_iter()
        .filter_map(|(name, mean_time)| {
            Some(ProviderConfig::new(name.parse().ok()?, "mock", mock_settings(mean_time)))
        })
        .collect()
}

/// Returns the channel `sms` over all providers in round robin: the default without `[channels]`.
pub(super) fn default_channel(providers: &[ProviderConfig], retry: &RetryPolicy) -> Option<Channel> {
    Some(Channel {
        name: "sms".parse().ok()?,
        providers: providers.iter().map(|provider| provider.name.clone()).collect(),
        strategy: RoutingStrategy::RoundRobin,
        retry: retry.clone(),
        unknown_retries: UNKNOWN_RETRIES_DEFAULT,
        bounce_resends: 0,
        priority: Priority::default(),
        addressing: Addressing::ByProviders(AddressKind::Phone),
        subject: None,
        expects_reply: false,
        user_per_hour: None,
        countries: Vec::new(),
    })
}

impl Config {
    /// Returns the configuration of a start without file and environment: loopback, SQLite in the working directory,
    /// and two mock providers in round robin on the channel `sms`, so that failover is visible and nothing is sent over
    /// a network.
    pub fn test_mode() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let providers = mock_providers();
        let channels: Vec<Channel> =
            default_channel(&providers, &RetryPolicy::default()).into_iter().collect();
        Self {
            listen,
            public_url: format!("http://{listen}"),
            insecure: false,
            trusted_proxies: Vec::new(),
            phone: PhoneRules::default(),
            allow_premium_numbers: false,
            mask_numbers: true,
            log: LogConfig::default(),
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
            compat: CompatConfig::default(),
            used_channels: channels.iter().map(|channel| channel.name.clone()).collect(),
            has_used_channels: false,
            channels,
            providers,
            keywords: KeywordRules::default(),
            inbound_routes: Vec::new(),
            keys: Vec::new(),
            is_test_mode: true,
        }
    }
}
