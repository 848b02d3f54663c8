//! The settings of `kind = "mock"`.
//!
//! Shares are fractions of 1; the rest is accepted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, IntoDeserializer, MapAccess, Unexpected, Visitor};

use postrider_core::address::AddressKind;
use postrider_core::attempt::Outcome;
use postrider_core::error::{Error, Result};
use postrider_core::receipt::ReceiptStatus;

use crate::outcome_kind::OutcomeKind;
use crate::settings_reader::{
    default_address_kind, deserialize_address_kind, deserialize_duration, read_table,
};

/// The reason of every failure of a mock.
pub(super) const MOCK_REASON: &str = "configured in the mock";

/// A mock provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MockSettings {
    /// The mean duration of a call, exponentially distributed; 0 for none.
    #[serde(default, deserialize_with = "deserialize_duration")]
    pub(super) mean_time: Duration,
    /// The share of calls with outcome `unavailable`.
    #[serde(default)]
    failure_rate: f64,
    #[serde(default)]
    deferred: f64,
    #[serde(default)]
    throttled: f64,
    #[serde(default)]
    rejected: f64,
    #[serde(default)]
    invalid_recipient: f64,
    #[serde(default)]
    misconfigured: f64,
    #[serde(default)]
    unknown: f64,
    /// The receipts of accepted messages: `"none"`, `"delivered"`, or a table of shares.
    #[serde(default)]
    pub(super) receipts: ReceiptShares,
    /// The delay between a send and its receipts.
    #[serde(default, deserialize_with = "deserialize_duration")]
    pub(super) receipt_delay: Duration,
    /// The kind of address that the mock accepts, to test a channel with several kinds.
    #[serde(default = "default_address_kind", deserialize_with = "deserialize_address_kind")]
    pub(super) address: AddressKind,
    /// The seed that makes the results of every run equal.
    pub(super) seed: Option<u64>,
    /// The value that results with a seed depend on.
    #[serde(default)]
    pub(super) seed_by: SeedBy,
    /// The outcome or receipt of certain addresses.
    #[serde(default)]
    pub(super) outcomes: BTreeMap<String, ScriptedResult>,
}

impl MockSettings {
    /// Parses and checks the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let mock_settings: Self = read_table(table)?;
        validate_shares(&mock_settings.outcome_shares().map(|(key, share, _)| (key, share)), "")?;
        validate_shares(&mock_settings.receipts.shares().map(|(key, share, _)| (key, share)), "receipts.")?;
        validate_shares(&[("opened", mock_settings.receipts.opened)], "receipts.")?;
        Ok(mock_settings)
    }

    /// Returns the key and the share of each outcome except `accepted`.
    pub(super) fn outcome_shares(&self) -> [(&'static str, f64, OutcomeKind); 7] {
        [
            ("failure_rate", self.failure_rate, OutcomeKind::Unavailable),
            ("deferred", self.deferred, OutcomeKind::Deferred),
            ("throttled", self.throttled, OutcomeKind::Throttled),
            ("rejected", self.rejected, OutcomeKind::Rejected),
            ("invalid_recipient", self.invalid_recipient, OutcomeKind::InvalidRecipient),
            ("misconfigured", self.misconfigured, OutcomeKind::Misconfigured),
            ("unknown", self.unknown, OutcomeKind::Unknown),
        ]
    }
}

/// Draws a value: returns the value whose interval contains `random` if the intervals of all shares are joined from 0
/// on; None if `random` is beyond them.
pub(super) fn draw_share<T>(
    shares: impl IntoIterator<Item = (&'static str, f64, T)>,
    random: f64,
) -> Option<T> {
    let mut share_sum = 0.0;
    shares.into_iter().find_map(|(_, share, drawn)| {
        share_sum += share;
        (random < share_sum).then_some(drawn)
    })
}

/// The value that results with a seed depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SeedBy {
    /// The order of the calls.
    #[default]
    Call,
    /// Delivery and round, independent of the order of the calls; mocks with the same seed have the same results.
    Message,
}

fn validate_shares(shares: &[(&str, f64)], prefix: &str) -> Result<()> {
    if let Some((key, share)) = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
        return Err(Error::usage(format!(
            "{prefix}{key}: {share} is not a share; write a number from 0 to 1"
        )));
    }
    let share_sum = shares.iter().map(|(_, share)| share).sum::<f64>();
    // Slightly above 1, because sums such as 0.7 + 0.2 + 0.1 are not exact in binary.
    if share_sum > 1.0 + 1e-9 {
        let keys = shares.iter().filter(|(_, share)| *share > 0.0);
        let keys = keys.map(|(key, _)| format!("{prefix}{key}")).collect::<Vec<_>>();
        return Err(Error::usage(format!(
            "{}: their sum is {share_sum}; lower them to at most 1, the rest is accepted",
            keys.join(", ")
        )));
    }
    Ok(())
}

/// The shares of receipts among accepted messages. The remaining messages get no receipt.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub(super) struct ReceiptShares {
    delivered: f64,
    bounced: f64,
    invalid: f64,
    /// The share of delivered messages that are opened as well.
    pub(super) opened: f64,
}

impl ReceiptShares {
    /// Returns whether no message gets a receipt.
    pub(super) fn is_empty(&self) -> bool {
        self.shares().iter().all(|(_, share, _)| *share <= 0.0)
    }

    /// Returns the key and the share of each receipt.
    pub(super) fn shares(&self) -> [(&'static str, f64, ReceiptKind); 3] {
        [
            ("delivered", self.delivered, ReceiptKind::Delivered),
            ("bounced", self.bounced, ReceiptKind::Bounced),
            ("invalid", self.invalid, ReceiptKind::Invalid),
        ]
    }
}

impl<'de> Deserialize<'de> for ReceiptShares {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReceiptSharesVisitor)
    }
}

struct ReceiptSharesVisitor;

impl<'de> Visitor<'de> for ReceiptSharesVisitor {
    type Value = ReceiptShares;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(
            "\"none\", \"delivered\", or a table of shares such as { delivered = 0.9, bounced = 0.1 }",
        )
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ReceiptShares, E> {
        match text {
            "none" => Ok(ReceiptShares::default()),
            "delivered" => Ok(ReceiptShares { delivered: 1.0, ..ReceiptShares::default() }),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<ReceiptShares, M::Error> {
        // The derived function, which `remote = "Self"` makes; the trait's function calls this visitor.
        ReceiptShares::deserialize(MapAccessDeserializer::new(map))
    }
}

/// The configured result of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScriptedResult {
    /// An outcome.
    Outcome(OutcomeKind),
    /// `accepted`, followed by a receipt.
    Receipt(ReceiptKind),
}

impl ScriptedResult {
    /// Returns the outcome of the send.
    pub(super) fn outcome_kind(self) -> OutcomeKind {
        match self {
            Self::Outcome(kind) => kind,
            Self::Receipt(_) => OutcomeKind::Accepted,
        }
    }
}

impl<'de> Deserialize<'de> for ScriptedResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let configured_word = String::deserialize(deserializer)?;
        let word =
            || IntoDeserializer::<serde::de::value::Error>::into_deserializer(configured_word.as_str());
        if let Ok(kind) = ReceiptKind::deserialize(word()) {
            return Ok(Self::Receipt(kind));
        }
        OutcomeKind::deserialize(word()).map(Self::Outcome).map_err(|_| {
            D::Error::custom(format!(
                "\"{configured_word}\" is neither an outcome ({}) nor a receipt (delivered, bounced, invalid, opened)",
                Outcome::NAMES.join(", ")
            ))
        })
    }
}

/// The status of a receipt, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReceiptKind {
    Delivered,
    Bounced,
    Invalid,
    Opened,
}

impl ReceiptKind {
    /// Returns the receipt status.
    pub(super) fn receipt_status(self) -> ReceiptStatus {
        let reason = MOCK_REASON.to_owned();
        match self {
            Self::Delivered => ReceiptStatus::Delivered,
            Self::Bounced => ReceiptStatus::Bounced { reason },
            Self::Invalid => ReceiptStatus::Invalid { reason },
            Self::Opened => ReceiptStatus::Opened,
        }
    }
}
