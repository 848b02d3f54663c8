//! Events through the faulty connection.

use std::time::Duration;

use async_trait::async_trait;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::event::{ClaimedEvent, Event, EventAttemptResult, EventKey};
use postrider_store::{DeadLetterRequest, EventQuery, EventStore, WaitingEndpoint};

use super::FaultyStore;

#[async_trait]
impl EventStore for FaultyStore {
    async fn waiting_endpoints(&self, after: &str, limit: usize) -> Result<Vec<WaitingEndpoint>> {
        self.call("waiting_endpoints", self.store.waiting_endpoints(after, limit)).await
    }

    async fn claim_events(
        &self,
        capacities: Vec<(String, usize)>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        self.call("claim_events", self.store.claim_events(capacities, now, lease)).await
    }

    async fn record_events(&self, results: Vec<EventAttemptResult>) -> Result<()> {
        self.call("record_events", self.store.record_events(results)).await
    }

    async fn dead_letter_events(&self, request: DeadLetterRequest) -> Result<usize> {
        self.call("dead_letter_events", self.store.dead_letter_events(request)).await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Event>> {
        self.call("events", self.store.events(query)).await
    }

    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize> {
        self.call("replay_events", self.store.replay_events(keys, now)).await
    }
}
