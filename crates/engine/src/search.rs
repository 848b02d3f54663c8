//! Searches deliveries by address, user, state, provider and time, newest first.
//!
//! The store evaluates conditions on address, state and time, or on the user; this module evaluates the others. One search
//! therefore examines a bounded number of messages and returns the position at which the next search continues.

use crate::gateway::Gateway;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, Failure};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Delivery, Message};
use postrider_core::{clock::Timestamp, error::Result, name::ConfigName};
use std::collections::HashMap;

use postrider_store::{LastAttempt, MessageList, MessageQuery, UsageQuery};

/// Maximum number of messages that one search examines, so that no page keeps the store busy for long.
pub const MESSAGES_EXAMINED_MAX: usize = 2_000;

/// Number of messages read at once.
const MESSAGES_PER_READ: usize = 200;

/// Search conditions; `None` matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliverySearchFilter {
    /// Normalised address.
    pub to: Option<String>,
    /// The client's id of the recipient.
    pub user: Option<String>,
    /// State of the delivery.
    pub state: Option<StateFilter>,
    /// Provider that accepted the delivery or made its last attempt.
    pub provider: Option<ConfigName>,
    /// Accepted at or after this time.
    pub since: Option<Timestamp>,
}

/// Condition on the state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFilter {
    /// The delivery is in this state.
    State(DeliveryStateKind),
    /// The delivery failed with this cause.
    Failure(Failure),
    /// Any state, with at least one attempt of outcome `unknown`.
    MaybeDuplicate,
}

/// A delivery that a search found, with data of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySearchHit {
    /// Id of the message.
    pub message: MessageId,
    /// Text of the message.
    pub body: String,
    /// The client's id of the recipient.
    pub user: Option<String>,
    /// Time of acceptance.
    pub created_at: Timestamp,
    /// The delivery that matches.
    pub delivery: Delivery,
    /// The last attempt.
    pub last_attempt: Option<LastAttempt>,
}

/// Result of one search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliverySearchResults {
    /// Hits, newest first. All hits of one message are included, so there may be a few more than the limit.
    pub hits: Vec<DeliverySearchHit>,
    /// Position at which the next search continues; `None` if nothing older exists.
    pub next: Option<i64>,
    /// True if the search ended because it had examined the maximum number of messages.
    pub is_truncated: bool,
}

/// Searches for about `limit` deliveries among the messages older than `before`.
pub async fn search_deliveries(
    gateway: &Gateway,
    filter: &DeliverySearchFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<DeliverySearchResults> {
    let mut search_results = DeliverySearchResults::default();
    let mut message_query = MessageQuery {
        to: filter.to.clone(),
        state: filter.state_in_store(),
        since: filter.since,
        owner: None,
        before,
        limit: limit.clamp(1, MESSAGES_PER_READ),
    };
    let mut examined = 0;
    loop {
        let page = read_page(gateway, filter, &message_query).await?;
        examined += page.messages.len();
        let next_page = page.next;
        let mut matching_messages =
            match_messages(gateway, filter, page.messages).await?.into_iter().peekable();
        while let Some((message_number, hits)) = matching_messages.next() {
            search_results.hits.extend(hits);
            if search_results.hits.len() >= limit {
                search_results.next = Some(message_number)
                    .filter(|_| next_page.is_some() || matching_messages.peek().is_some());
                return Ok(search_results);
            }
        }
        if next_page.is_none() || examined >= MESSAGES_EXAMINED_MAX {
            (search_results.next, search_results.is_truncated) = (next_page, next_page.is_some());
            return Ok(search_results);
        }
        message_query.before = next_page;
        message_query.limit = MESSAGES_PER_READ.min(MESSAGES_EXAMINED_MAX - examined);
    }
}

/// Returns the deliveries with these ids, in the order of the ids, without pruned deliveries.
pub async fn find_by_ids(gateway: &Gateway, ids: &[DeliveryId]) -> Result<Vec<DeliverySearchHit>> {
    let mut hits = Vec::new();
    for delivery_id in ids {
        let query = MessageQuery {
            before: Some(delivery_id.message_number().saturating_add(1)),
            limit: 1,
            ..MessageQuery::default()
        };
        let messages = gateway.store.search(query).await?.messages.into_iter();
        let message_hits = messages.flat_map(|message| DeliverySearchFilter::default().hits_in(message));
        hits.extend(message_hits.filter(|hit| hit.delivery.id == *delivery_id));
    }
    Ok(hits)
}

/// Reads a page of candidate messages; the store has an index of the messages of one user.
async fn read_page(
    gateway: &Gateway,
    filter: &DeliverySearchFilter,
    message_query: &MessageQuery,
) -> Result<MessageList> {
    if message_query.to.is_some() || filter.user.is_none() {
        return gateway.store.search(message_query.clone()).await;
    }
    let user_query = UsageQuery {
        user: filter.user.clone(),
        owner: None,
        since: message_query.since,
        until: None,
        before: message_query.before,
        limit: message_query.limit,
    };
    gateway.store.usage(user_query).await
}

/// Returns the matching deliveries, grouped by message.
async fn match_messages(
    gateway: &Gateway,
    filter: &DeliverySearchFilter,
    messages: Vec<Message>,
) -> Result<Vec<(i64, Vec<DeliverySearchHit>)>> {
    let mut hits_by_message: Vec<_> =
        messages.into_iter().map(|message| (message.number, filter.hits_in(message))).collect();
    let ids: Vec<DeliveryId> =
        hits_by_message.iter().flat_map(|(_, hits)| hits.iter().map(|hit| hit.delivery.id)).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let last_attempts = gateway.store.last_attempts(ids).await?;
    let mut attempts_by_id: HashMap<_, _> =
        last_attempts.into_iter().map(|attempt| (attempt.id, attempt)).collect();
    for (_, hits) in &mut hits_by_message {
        for hit in hits.iter_mut() {
            hit.last_attempt = attempts_by_id.remove(&hit.delivery.id);
        }
        hits.retain(|hit| filter.matches_last_attempt(hit));
    }
    hits_by_message.retain(|(_, hits)| !hits.is_empty());
    Ok(hits_by_message)
}

impl DeliverySearchFilter {
    /// Returns the state condition that the store can evaluate.
    fn state_in_store(&self) -> Option<DeliveryStateKind> {
        match self.state? {
            StateFilter::State(kind) => Some(kind),
            StateFilter::Failure(_) => Some(DeliveryStateKind::Failed),
            StateFilter::MaybeDuplicate => None,
        }
    }

    /// Returns the deliveries of the message that match, without the conditions on the last attempt.
    fn hits_in(&self, message: Message) -> Vec<DeliverySearchHit> {
        if self.user.is_some() && message.user != self.user {
            return Vec::new();
        }
        let Message { id, body, user, created_at, deliveries, .. } = message;
        let to_hit = |delivery| DeliverySearchHit {
            message: id,
            body: body.clone(),
            user: user.clone(),
            created_at,
            delivery,
            last_attempt: None,
        };
        deliveries.into_iter().filter(|delivery| self.matches(delivery)).map(to_hit).collect()
    }

    fn matches(&self, delivery: &Delivery) -> bool {
        let is_failure =
            |wanted| matches!(&delivery.state, DeliveryState::Failed { failure, .. } if *failure == wanted);
        let has_wanted_state = match self.state {
            None | Some(StateFilter::MaybeDuplicate) => true,
            Some(StateFilter::State(kind)) => delivery.state.kind() == kind,
            Some(StateFilter::Failure(failure)) => is_failure(failure),
        };
        has_wanted_state && self.to.as_ref().is_none_or(|to| *to == delivery.address)
    }

    fn matches_last_attempt(&self, hit: &DeliverySearchHit) -> bool {
        let attempted_by = hit.last_attempt.as_ref().and_then(|attempt| attempt.provider.as_ref());
        let accepted_by = hit.delivery.provider.as_ref();
        let is_handled_by = |provider| attempted_by == Some(provider) || accepted_by == Some(provider);
        let has_unknown_attempt =
            || hit.last_attempt.as_ref().is_some_and(|attempt| attempt.has_unknown_attempt);
        self.provider.as_ref().is_none_or(is_handled_by)
            && (self.state != Some(StateFilter::MaybeDuplicate) || has_unknown_attempt())
    }
}

#[cfg(test)]
mod tests;
