//! Settings of `kind = "mock"`, validated when they are read.
//!
//! Shares are fractions of 1; the rest is accepted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{
    Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor, value::MapAccessDeserializer,
};

use crate::outcome_kind::OutcomeKind;
use crate::settings_reader::{deserialize_address_kind, deserialize_duration, read_table};
use postrider_core::address::AddressKind;
use postrider_core::error::{Error, Result};
use postrider_core::receipt::ReceiptStatus;

/// Settings of a mock provider.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MockSettings {
    /// Mean duration of a call, exponentially distributed; 0 for none.
    #[serde(deserialize_with = "deserialize_duration")]
    pub(super) mean_time: Duration,
    /// Share of calls with outcome `unavailable`.
    failure_rate: f64,
    deferred: f64,
    throttled: f64,
    rejected: f64,
    invalid_recipient: f64,
    misconfigured: f64,
    unknown: f64,
    /// Receipts of accepted messages: `"none"`, `"delivered"`, or a table of shares.
    pub(super) receipts: ReceiptShares,
    /// Delay between a send and its receipts.
    #[serde(deserialize_with = "deserialize_duration")]
    pub(super) receipt_delay: Duration,
    /// Kind of address that the mock accepts, to test a channel with several kinds.
    #[serde(deserialize_with = "deserialize_address_kind")]
    pub(crate) address: AddressKind,
    /// Seed that makes the results of every run equal.
    pub(super) seed: Option<u64>,
    /// Value that results with a seed depend on.
    pub(super) seed_by: SeedBy,
    /// Outcome or receipt of certain addresses.
    pub(super) outcomes: BTreeMap<String, ScriptedResult>,
}

impl Default for MockSettings {
    fn default() -> Self {
        Self {
            mean_time: Duration::ZERO,
            failure_rate: 0.0,
            deferred: 0.0,
            throttled: 0.0,
            rejected: 0.0,
            invalid_recipient: 0.0,
            misconfigured: 0.0,
            unknown: 0.0,
            receipts: ReceiptShares::default(),
            receipt_delay: Duration::ZERO,
            address: AddressKind::Any,
            seed: None,
            seed_by: SeedBy::Call,
            outcomes: BTreeMap::new(),
        }
    }
}

impl MockSettings {
    /// Parses and validates the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        validate_shares(&settings.named_shares(), "")?;
        validate_shares(&settings.receipts.named_shares(), "receipts.")?;
        validate_shares(&[("opened", settings.receipts.opened)], "receipts.")?;
        Ok(settings)
    }

    /// Returns the share of each outcome except `accepted`.
    pub(super) fn outcome_shares(&self) -> [(f64, OutcomeKind); 7] {
        [
            (self.failure_rate, OutcomeKind::Unavailable),
            (self.deferred, OutcomeKind::Deferred),
            (self.throttled, OutcomeKind::Throttled),
            (self.rejected, OutcomeKind::Rejected),
            (self.invalid_recipient, OutcomeKind::InvalidRecipient),
            (self.misconfigured, OutcomeKind::Misconfigured),
            (self.unknown, OutcomeKind::Unknown),
        ]
    }

    fn named_shares(&self) -> [(&'static str, f64); 7] {
        [
            ("failure_rate", self.failure_rate),
            ("deferred", self.deferred),
            ("throttled", self.throttled),
            ("rejected", self.rejected),
            ("invalid_recipient", self.invalid_recipient),
            ("misconfigured", self.misconfigured),
            ("unknown", self.unknown),
        ]
    }
}

/// Value that results with a seed depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SeedBy {
    /// Order of the calls.
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
    let sum = shares.iter().map(|(_, share)| share).sum::<f64>();
    // Slightly above 1, because sums such as 0.7 + 0.2 + 0.1 are not exact in binary.
    if sum > 1.0 + 1e-9 {
        let keys = shares.iter().filter(|(_, share)| *share > 0.0);
        let keys = keys.map(|(key, _)| format!("{prefix}{key}")).collect::<Vec<_>>();
        return Err(Error::usage(format!(
            "{}: their sum is {sum}; lower them to at most 1, the rest is accepted",
            keys.join(", ")
        )));
    }
    Ok(())
}

/// Shares of receipts among accepted messages; the rest gets no receipt.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ReceiptShares {
    delivered: f64,
    bounced: f64,
    invalid: f64,
    /// Share of delivered messages that are opened as well.
    pub(super) opened: f64,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReceiptSharesTable {
    delivered: f64,
    bounced: f64,
    invalid: f64,
    opened: f64,
}

impl ReceiptShares {
    /// Returns whether no message gets a receipt.
    pub(super) fn is_empty(&self) -> bool {
        self.named_shares().iter().all(|(_, share)| *share <= 0.0)
    }

    /// Returns the receipt for a random number from 0 to 1.
    pub(super) fn draw(&self, random: f64) -> Option<ReceiptKind> {
        let kinds = [ReceiptKind::Delivered, ReceiptKind::Bounced, ReceiptKind::Invalid];
        let mut sum = 0.0;
        kinds.into_iter().zip(self.named_shares()).find_map(|(kind, (_, share))| {
            sum += share;
            (random < sum).then_some(kind)
        })
    }

    fn named_shares(&self) -> [(&'static str, f64); 3] {
        [("delivered", self.delivered), ("bounced", self.bounced), ("invalid", self.invalid)]
    }
}

impl<'de> Deserialize<'de> for ReceiptShares {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ReceiptSharesVisitor)
    }
}

struct ReceiptSharesVisitor;

impl<'de> Visitor<'de> for ReceiptSharesVisitor {
    type Value = ReceiptShares;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(
            "\"none\", \"delivered\", or a table of shares such as { delivered = 0.9, bounced = 0.1 }",
        )
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ReceiptShares, E> {
        let delivered = match text {
            "none" => 0.0,
            "delivered" => 1.0,
            _ => return Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        };
        Ok(ReceiptShares { delivered, ..ReceiptShares::default() })
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<ReceiptShares, M::Error> {
        let shares = ReceiptSharesTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ReceiptShares {
            delivered: shares.delivered,
            bounced: shares.bounced,
            invalid: shares.invalid,
            opened: shares.opened,
        })
    }
}

/// Configured result of an address.
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
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let deserializer = || IntoDeserializer::<serde::de::value::Error>::into_deserializer(text.as_str());
        if let Ok(kind) = ReceiptKind::deserialize(deserializer()) {
            return Ok(Self::Receipt(kind));
        }
        OutcomeKind::deserialize(deserializer()).map(Self::Outcome).map_err(|_| {
            D::Error::custom(format!(
                "\"{text}\" is neither an outcome ({}) nor a receipt (delivered, bounced, invalid, opened)",
                postrider_core::attempt::Outcome::NAMES.join(", ")
            ))
        })
    }
}

/// Status of a receipt, as configured.
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
        let reason = "configured in the mock".to_owned();
        match self {
            Self::Delivered => ReceiptStatus::Delivered,
            Self::Bounced => ReceiptStatus::Bounced { reason },
            Self::Invalid => ReceiptStatus::Invalid { reason },
            Self::Opened => ReceiptStatus::Opened,
        }
    }
}
