//! Reading messages, usage, and the backlog of waiting deliveries.

use async_trait::async_trait;

use crate::usage::{UsageQuery, UsageTotals};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::{
    clock::Timestamp, delivery::DeliveryStateKind, error::Result, message::Message, name::ConfigName,
};

/// Reads messages, usage and backlogs.
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// Returns a message with its deliveries and all their attempts.
    async fn find_message(&self, id: MessageId) -> Result<Option<Message>>;

    /// Returns messages without their attempts, newest first.
    async fn search(&self, query: MessageQuery) -> Result<MessageList>;

    /// Returns the last attempt of each delivery; leaves out deliveries without attempts.
    async fn last_attempts(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastAttempt>>;

    /// Returns the messages sent to one user or to all, newest first, without attempts.
    async fn usage(&self, query: UsageQuery) -> Result<MessageList>;

    /// Counts the messages of a usage query by day, user and channel, up to a fixed number of deliveries. Ignores the
    /// fields `before` and `limit` of the query.
    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals>;

    /// Counts waiting deliveries for each channel that has any.
    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(ConfigName, Backlog)>>;

    /// Counts waiting deliveries of all channels together.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog> {
        let backlogs = self.backlogs(now).await?;
        Ok(backlogs.into_iter().map(|(_, backlog)| backlog).sum())
    }
}

/// A search for messages; every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageQuery {
    /// Messages with a delivery to this normalised address.
    pub to: Option<String>,
    /// Messages with a delivery in this state.
    pub state: Option<DeliveryStateKind>,
    /// Messages accepted at or after this time.
    pub since: Option<Timestamp>,
    /// Messages of this owner; empty for those that belong to no single API key.
    pub owner: Option<String>,
    /// Messages older than the message with this number.
    pub before: Option<i64>,
    /// Maximum number of messages.
    pub limit: usize,
}

/// A page of messages, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageList {
    /// The messages, without attempts.
    pub messages: Vec<Message>,
    /// Value of `before` for the next page; none on the last page.
    pub next: Option<i64>,
}

/// The last attempt of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAttempt {
    /// Id of the delivery.
    pub id: DeliveryId,
    /// The provider that was called; none if the provider is unknown.
    pub provider: Option<ConfigName>,
    /// The provider's own code.
    pub code: Option<String>,
    /// True if the outcome of any attempt of the delivery is unknown, so that it may have been sent twice.
    pub has_unknown_attempt: bool,
}

/// Counts of waiting deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that wait, due or not.
    pub waiting: u64,
    /// Waiting deliveries that are due now.
    pub due: u64,
    /// Due time of the delivery that has been due longest.
    pub oldest_due_at: Option<Timestamp>,
    /// Time at which the oldest waiting delivery was accepted, due or not; includes scheduled deliveries.
    pub oldest_accepted_at: Option<Timestamp>,
}

impl std::iter::Sum for Backlog {
    fn sum<I: Iterator<Item = Self>>(backlogs: I) -> Self {
        backlogs.fold(Self::default(), |sum, backlog| Self {
            waiting: sum.waiting + backlog.waiting,
            due: sum.due + backlog.due,
            oldest_due_at: sum.oldest_due_at.into_iter().chain(backlog.oldest_due_at).min(),
            oldest_accepted_at: sum.oldest_accepted_at.into_iter().chain(backlog.oldest_accepted_at).min(),
        })
    }
}
