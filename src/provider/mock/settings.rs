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

use crate::domain::receipt::Verdict;
use crate::domain::recipient::AddressKind;
use crate::error::{Error, Result};
use crate::provider::fate::Fate;
use crate::provider::reading::{address_kind, duration, read_table};

/// The keys of `kind = "mock"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How long a call takes on average, exponentially spread; 0 takes no time at all.
    #[serde(deserialize_with = "duration")]
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
    pub(super) receipts: Verdicts,
    /// How long after the send they come.
    #[serde(deserialize_with = "duration")]
    pub(super) receipt_delay: Duration,
    /// Which kind of address it wants, so that a mixed channel can be tried.
    #[serde(deserialize_with = "address_kind")]
    pub(in crate::provider) address: AddressKind,
    /// Replays the same luck on every run.
    pub(super) seed: Option<u64>,
    /// What the luck of a seed goes by.
    pub(super) seed_by: SeedBy,
    /// What certain addresses come to, whatever the luck: an outcome's word, or a receipt's.
    pub(super) fates: BTreeMap<String, Aim>,
}

impl Default for Settings {
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
            receipts: Verdicts::default(),
            receipt_delay: Duration::ZERO,
            address: AddressKind::Any,
            seed: None,
            seed_by: SeedBy::Call,
            fates: BTreeMap::new(),
        }
    }
}

impl Settings {
    pub(in crate::provider) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        check_shares(&settings.named_shares(), "")?;
        check_shares(&settings.receipts.named_shares(), "receipts.")?;
        check_shares(&[("opened", settings.receipts.opened)], "receipts.")?;
        Ok(settings)
    }

    /// The share of each outcome that is not `accepted`.
    pub(super) fn shares(&self) -> [(f64, Fate); 7] {
        [
            (self.failure_rate, Fate::Unavailable),
            (self.deferred, Fate::Deferred),
            (self.throttled, Fate::Throttled),
            (self.rejected, Fate::Rejected),
            (self.invalid_recipient, Fate::InvalidRecipient),
            (self.misconfigured, Fate::Misconfigured),
            (self.unknown, Fate::Unknown),
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

fn check_shares(shares: &[(&str, f64)], within: &str) -> Result<()> {
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
pub(super) struct Verdicts {
    delivered: f64,
    bounced: f64,
    invalid: f64,
    /// The share of the delivered that is opened as well.
    pub(super) opened: f64,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct VerdictShares {
    delivered: f64,
    bounced: f64,
    invalid: f64,
    opened: f64,
}

impl Verdicts {
    /// Whether there is never a receipt.
    pub(super) fn is_silent(&self) -> bool {
        self.named_shares().iter().all(|(_, share)| *share <= 0.0)
    }

    /// The receipt that a luck from 0 to 1 draws, if any.
    pub(super) fn drawn(&self, luck: f64) -> Option<ReceiptWord> {
        let words = [ReceiptWord::Delivered, ReceiptWord::Bounced, ReceiptWord::Invalid];
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

impl<'de> Deserialize<'de> for Verdicts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(VerdictsVisitor)
    }
}

struct VerdictsVisitor;

impl<'de> Visitor<'de> for VerdictsVisitor {
    type Value = Verdicts;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(
            "\"none\", \"delivered\", or a table of shares such as { delivered = 0.9, bounced = 0.1 }",
        )
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Verdicts, E> {
        let delivered = match word {
            "none" => 0.0,
            "delivered" => 1.0,
            _ => return Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
        };
        Ok(Verdicts {
            delivered,
            ..Verdicts::default()
        })
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Verdicts, M::Error> {
        let shares = VerdictShares::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Verdicts {
            delivered: shares.delivered,
            bounced: shares.bounced,
            invalid: shares.invalid,
            opened: shares.opened,
        })
    }
}

/// What a message to a certain address comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// That outcome.
    Outcome(Fate),
    /// Accepted, and then that receipt.
    Receipt(ReceiptWord),
}

impl Aim {
    /// The outcome of the send itself.
    pub(super) fn fate(self) -> Fate {
        match self {
            Self::Outcome(fate) => fate,
            Self::Receipt(_) => Fate::Accepted,
        }
    }
}

impl<'de> Deserialize<'de> for Aim {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        let simple = || IntoDeserializer::<serde::de::value::Error>::into_deserializer(word.as_str());
        if let Ok(word) = ReceiptWord::deserialize(simple()) {
            return Ok(Self::Receipt(word));
        }
        Fate::deserialize(simple()).map(Self::Outcome).map_err(|_| {
            D::Error::custom(format!(
                "\"{word}\" is neither an outcome ({}) nor a receipt (delivered, bounced, invalid, opened)",
                crate::domain::attempt::Outcome::WORDS.join(", ")
            ))
        })
    }
}

/// A receipt's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReceiptWord {
    Delivered,
    Bounced,
    Invalid,
    Opened,
}

impl ReceiptWord {
    pub(super) fn verdict(self) -> Verdict {
        let reason = "the mock was told to".to_owned();
        match self {
            Self::Delivered => Verdict::Delivered,
            Self::Bounced => Verdict::Bounced { reason },
            Self::Invalid => Verdict::Invalid { reason },
            Self::Opened => Verdict::Opened,
        }
    }
}
