//! What a mock can be told.
//!
//! Shares are parts of 1; what they leave over is accepted. They are checked here once, so that a draw needs no
//! check. Holds no secret.

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

/// The keys of `kind = "mock"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MockSettings {
    /// How long a call takes on average, exponentially spread; 0 takes no time at all.
    #[serde(deserialize_with = "deserialize_duration")]
    pub(super) mean_time: Duration,
    /// The share of calls that come to `unavailable`.
    failure_rate: f64,
    deferred: f64,
    throttled: f64,
    rejected: f64,
    invalid_recipient: f64,
    misconfigured: f64,
    unknown: f64,
    /// Which receipts follow what was accepted: `"none"`, `"delivered"`, or a table of shares.
    pub(super) receipts: ReceiptShares,
    /// How long after the send they come.
    #[serde(deserialize_with = "deserialize_duration")]
    pub(super) receipt_delay: Duration,
    /// Which kind of address it wants, so that a mixed channel can be tried.
    #[serde(deserialize_with = "deserialize_address_kind")]
    pub(crate) address: AddressKind,
    /// Replays the same luck on every run.
    pub(super) seed: Option<u64>,
    /// What the luck of a seed goes by.
    pub(super) seed_by: SeedBy,
    /// What certain addresses come to, whatever the luck: an outcome's word, or a receipt's.
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
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        validate_shares(&settings.named_shares(), "")?;
        validate_shares(&settings.receipts.named_shares(), "receipts.")?;
        validate_shares(&[("opened", settings.receipts.opened)], "receipts.")?;
        Ok(settings)
    }

    /// The share of each outcome that is not `accepted`.
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

/// What the luck of a seed goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SeedBy {
    /// The order of the calls.
    Call,
    /// The delivery and its round, in whatever order the calls come; mocks with one seed have one luck.
    Message,
}

fn validate_shares(shares: &[(&str, f64)], within: &str) -> Result<()> {
    if let Some((key, share)) = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
        return Err(Error::usage(format!(
            "{within}{key}: {share} is not a share; write a number from 0 to 1"
        )));
    }
    let sum = shares.iter().map(|(_, share)| share).sum::<f64>();
    // A little above 1 for sums such as 0.7 + 0.2 + 0.1, which binary numbers do not meet exactly.
    if sum > 1.0 + 1e-9 {
        let keys = shares.iter().filter(|(_, share)| *share > 0.0);
        let keys = keys.map(|(key, _)| format!("{within}{key}")).collect::<Vec<_>>();
        return Err(Error::usage(format!(
            "{}: their sum is {sum}; lower them to 1 at most, what is left over is accepted",
            keys.join(", ")
        )));
    }
    Ok(())
}

/// The shares of receipts among what was accepted; what they leave over gets no receipt.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ReceiptShares {
    delivered: f64,
    bounced: f64,
    invalid: f64,
    /// The share of the delivered that is opened as well.
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
    /// Whether there is never a receipt.
    pub(super) fn is_empty(&self) -> bool {
        self.named_shares().iter().all(|(_, share)| *share <= 0.0)
    }

    /// The receipt that a luck from 0 to 1 draws, if any.
    pub(super) fn draw(&self, luck: f64) -> Option<ReceiptKind> {
        let words = [ReceiptKind::Delivered, ReceiptKind::Bounced, ReceiptKind::Invalid];
        let mut sum = 0.0;
        words
            .into_iter()
            .zip(self.named_shares())
            .find_map(|(word, (_, share))| {
                sum += share;
                (luck < sum).then_some(word)
            })
    }

    fn named_shares(&self) -> [(&'static str, f64); 3] {
        [
            ("delivered", self.delivered),
            ("bounced", self.bounced),
            ("invalid", self.invalid),
        ]
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

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<ReceiptShares, E> {
        let delivered = match word {
            "none" => 0.0,
            "delivered" => 1.0,
            _ => return Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
        };
        Ok(ReceiptShares {
            delivered,
            ..ReceiptShares::default()
        })
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

/// What a message to a certain address comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScriptedResult {
    /// That outcome.
    Outcome(OutcomeKind),
    /// Accepted, and then that receipt.
    Receipt(ReceiptKind),
}

impl ScriptedResult {
    /// The outcome of the send itself.
    pub(super) fn outcome_kind(self) -> OutcomeKind {
        match self {
            Self::Outcome(fate) => fate,
            Self::Receipt(_) => OutcomeKind::Accepted,
        }
    }
}

impl<'de> Deserialize<'de> for ScriptedResult {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        let simple = || IntoDeserializer::<serde::de::value::Error>::into_deserializer(word.as_str());
        if let Ok(word) = ReceiptKind::deserialize(simple()) {
            return Ok(Self::Receipt(word));
        }
        OutcomeKind::deserialize(simple()).map(Self::Outcome).map_err(|_| {
            D::Error::custom(format!(
                "\"{word}\" is neither an outcome ({}) nor a receipt (delivered, bounced, invalid, opened)",
                postrider_core::attempt::Outcome::NAMES.join(", ")
            ))
        })
    }
}

/// A receipt's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReceiptKind {
    Delivered,
    Bounced,
    Invalid,
    Opened,
}

impl ReceiptKind {
    pub(super) fn receipt_status(self) -> ReceiptStatus {
        let reason = "the mock was told to".to_owned();
        match self {
            Self::Delivered => ReceiptStatus::Delivered,
            Self::Bounced => ReceiptStatus::Bounced { reason },
            Self::Invalid => ReceiptStatus::Invalid { reason },
            Self::Opened => ReceiptStatus::Opened,
        }
    }
}
