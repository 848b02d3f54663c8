//! The outside world: those who carry messages.
//!
//! An adapter turns a parcel into its provider's wire and the provider's answer into an outcome, and nothing
//! else: it never sees a retry, a state or the store.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::domain::attempt::Answer;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::receipt::Receipt;

/// What every provider can do. `contract.rs` decides what a provider is.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Hands over one parcel. Failure is an outcome, never an error and never a panic; silence after the
    /// request had left is `Unknown`.
    async fn send(&self, parcel: &Parcel) -> Answer;

    /// Reads the receipts in a provider's call to us, after checking that it is the provider who calls.
    fn receipts(&self, call: &Call) -> Result<Vec<Receipt>, Refusal>;

    /// Receipts that come over the provider's own connection or out of its own head. Waits until there are
    /// some; a provider that has none waits for ever.
    async fn incoming(&self) -> Vec<Receipt> {
        std::future::pending().await
    }

    /// Where it is: host and port, or its kind and 0 where it has none.
    fn place(&self) -> (String, u16);

    /// Whether it only plays a provider, so that nothing really leaves.
    fn is_sandbox(&self) -> bool {
        false
    }
}

/// One message for one address, as a provider needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Our delivery; with `round` it makes a key that providers can tell repetitions by.
    pub delivery: DeliveryId,
    /// Our message.
    pub message: MessageId,
    /// Which claim of the delivery this is.
    pub round: u32,
    /// The normalised address.
    pub to: String,
    /// The address as the client wrote it.
    pub spelling: String,
    /// What it says.
    pub body: String,
    /// How many text parts it has.
    pub parts: u32,
}

/// A provider's HTTP call to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// `POST` or `GET`.
    pub method: String,
    /// The URL the provider called, as the public sees it: some sign it.
    pub url: String,
    /// The raw query string.
    pub query: String,
    /// Header names in lower case; values that are no text are left out.
    pub headers: BTreeMap<String, String>,
    /// The raw body.
    pub body: Vec<u8>,
    /// When we heard it.
    pub heard_at: Timestamp,
}

/// Why a provider's call to us was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The signature or secret is missing or wrong.
    Forged,
    /// It cannot be read; the text says what is missing, for the provider's developer.
    Unreadable(String),
    /// This provider sends no receipts.
    NotExpected,
}

/// Stand-in until the adapters are merged.
pub struct Outbound;
impl Outbound {
    /// New.
    pub fn new() -> crate::error::Result<Self> {
        Ok(Self)
    }
}
/// Limits.
pub struct CallLimits {
    /// c
    pub connect: std::time::Duration,
    /// c
    pub call: std::time::Duration,
    /// a
    pub answer_bytes_max: usize,
}
/// Settings.
pub struct Settings;
impl Settings {
    /// Read.
    pub fn read(_: &str, _: toml::Table) -> crate::error::Result<Self> {
        Ok(Self)
    }
}
struct Quick(std::sync::atomic::AtomicU64);
#[async_trait]
impl Provider for Quick {
    async fn send(&self, _: &Parcel) -> Answer {
        let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Answer::from(crate::domain::attempt::Outcome::Accepted {
            reference: Some(format!("m-{n}")),
        })
    }
    fn receipts(&self, _: &Call) -> Result<Vec<Receipt>, Refusal> {
        Err(Refusal::NotExpected)
    }
    fn place(&self) -> (String, u16) {
        ("mock".into(), 0)
    }
    fn is_sandbox(&self) -> bool {
        true
    }
}
/// Build.
pub fn build(
    _: &crate::domain::channel::Name,
    _: &Settings,
    _: &CallLimits,
    _: &str,
    _: &Outbound,
) -> crate::error::Result<std::sync::Arc<dyn Provider>> {
    Ok(std::sync::Arc::new(Quick(Default::default())))
}
