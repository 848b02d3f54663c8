//! The tables with names: `[channels.NAME]`, `[providers.NAME]` and `[[keys]]`, and what stands in for them.

use super::ProviderConfig;
use crate::domain::channel::{Channel, Name, UnknownPolicy};
use crate::domain::message::Priority;
use crate::domain::recipient::AddressKind;
use crate::domain::retry::Retry;
use crate::domain::route::Strategy;

/// Two mock providers with a failure rate that makes failover visible.
pub(super) fn mocks() -> Vec<ProviderConfig> {
    let settings = |seconds: &str| {
        let mut table = toml::Table::new();
        table.insert("mean_time".to_owned(), toml::Value::from(seconds));
        table.insert("failure_rate".to_owned(), toml::Value::from(0.1));
        table.insert("receipts".to_owned(), toml::Value::from("delivered"));
        table.insert("receipt_delay".to_owned(), toml::Value::from("2s"));
        table
    };
    [("mock-blue", "30ms"), ("mock-red", "50ms")]
        .into_iter()
        .filter_map(|(name, mean)| Some(ProviderConfig::new(name.parse().ok()?, "mock", settings(mean))))
        .collect()
}

/// The channel `sms` over all providers in turn: what a configuration without channels gets.
pub(super) fn default_channel(providers: &[ProviderConfig], retry: &Retry) -> Option<Channel> {
    Some(Channel {
        name: "sms".parse().ok()?,
        providers: providers
            .iter()
            .map(|provider| provider.name.clone())
            .collect::<Vec<Name>>(),
        strategy: Strategy::RoundRobin,
        retry: retry.clone(),
        unknown: UnknownPolicy::default(),
        bounce_resends: 0,
        priority: Priority::default(),
        address: AddressKind::Phone,
    })
}
