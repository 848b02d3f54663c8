//! The outbox of webhook events: claimed by endpoint, recorded, dead-lettered, listed and replayed.

use std::time::Duration;

use async_trait::async_trait;

use super::pool::{PgTransaction, bind, column};
use super::{errors::PgError, escape::escape_text, read::message_number, store::PostgresStore};
use crate::events::{DeadLetterRequest, EventQuery, EventStore, WaitingEndpoint};
use crate::rows::events::{decode_claimed_event, decode_event, decode_waiting_endpoint};
use crate::rows::{delivery_id_range, limit_to_sql};
use postrider_core::event::{
    ClaimedEvent, Event, EventAttemptResult, EventKey, EventStatusKind, EventTarget,
};
use postrider_core::{clock::Timestamp, error::Result};

static WAITING_ENDPOINTS: &str = sql!("postgres/events/list_waiting_endpoints");
static CLAIM: &str = sql!("postgres/events/claim_events");
static RECORD: &str = sql!("postgres/events/record_result");
static MARK_DEAD: &str = sql!("postgres/events/mark_dead");
static REPLAY: &str = sql!("postgres/events/replay_event");
static LIST: &str = sql!("postgres/events/list_events");
static LIST_DEAD: &str = sql!("postgres/events/list_dead_letters");
static LIST_OF_MESSAGE: &str = sql!("postgres/events/list_message_events");

#[async_trait]
impl EventStore for PostgresStore {
    async fn waiting_endpoints(&self, after: &str, limit: usize) -> Result<Vec<WaitingEndpoint>> {
        run_transaction!(self.begin_read, "cannot read waiting endpoints", |transaction| {
            let values = bind![after, limit_to_sql(limit)];
            transaction.query_all(WAITING_ENDPOINTS, values, decode_waiting_endpoint).await
        })
    }

    async fn claim_events(
        &self,
        requested: Vec<(String, usize)>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        run_transaction!(self.begin_write, "cannot claim events", |transaction| {
            let values = bind![
                column(&requested, |(endpoint, _)| endpoint.as_str()),
                column(&requested, |(_, capacity)| limit_to_sql(*capacity)),
                now.timestamp_millis(),
                (now + lease).timestamp_millis(),
            ];
            transaction.query_all(CLAIM, values, decode_claimed_event).await
        })
    }

    async fn record_events(&self, mut event_results: Vec<EventAttemptResult>) -> Result<()> {
        // Sorted by key, so that two processes do not deadlock.
        event_results.sort_by_key(|event_result| event_result.key);
        run_transaction!(self.begin_write, "cannot record event results", |transaction| {
            let values = bind![
                column(&event_results, |event_result| event_result.key.delivery.0),
                column(&event_results, |event_result| i64::from(event_result.key.sequence)),
                column(&event_results, |event_result| i64::from(event_result.claims)),
                column(&event_results, |event_result| event_result.status.kind().as_str()),
                column(&event_results, |event_result| event_result.status.time().timestamp_millis()),
                column(&event_results, |event_result| i64::from(event_result.tries)),
                column(&event_results, |event_result| escape_text(&event_result.result)),
            ];
            transaction.execute(RECORD, values).await
        })
    }

    async fn dead_letter_events(&self, request: DeadLetterRequest) -> Result<usize> {
        let event_target = request.event_target.as_ref().map(EventTarget::encode);
        run_transaction!(self.begin_write, "cannot dead-letter events", |transaction| {
            let values = bind![
                request.endpoint.as_str(),
                event_target.as_deref(),
                request.before.timestamp_millis(),
                request.now.timestamp_millis(),
                escape_text(&request.reason),
                limit_to_sql(request.limit),
            ];
            let event_count = transaction.execute_and_count(MARK_DEAD, values).await?;
            Ok(usize::try_from(event_count).unwrap_or(usize::MAX))
        })
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Event>> {
        run_transaction!(self.begin_read, "cannot read events", |transaction| {
            list_events(transaction, &query).await
        })
    }

    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize> {
        run_transaction!(self.begin_write, "cannot replay events", |transaction| {
            let values = bind![
                column(&keys, |key| key.delivery.0),
                column(&keys, |key| i64::from(key.sequence)),
                now.timestamp_millis(),
            ];
            let event_count = transaction.execute_and_count(REPLAY, values).await?;
            Ok(usize::try_from(event_count).unwrap_or(usize::MAX))
        })
    }
}

async fn list_events(transaction: &PgTransaction, event_query: &EventQuery) -> Result<Vec<Event>, PgError> {
    let events_since = event_query.since.map_or(i64::MIN, |events_since| events_since.timestamp_millis());
    let event_state = event_query.state.map(EventStatusKind::as_str);
    let events_max = limit_to_sql(event_query.limit);
    if let Some(message_id) = event_query.message {
        let Some(number) = message_number(transaction, message_id).await? else {
            return Ok(Vec::new());
        };
        let (first_id, last_id) = delivery_id_range(number);
        let values = bind![first_id, last_id, events_since, event_state, events_max];
        return transaction.query_all(LIST_OF_MESSAGE, values, decode_event).await;
    }
    if event_query.state == Some(EventStatusKind::Dead) {
        return transaction.query_all(LIST_DEAD, bind![events_since, events_max], decode_event).await;
    }
    transaction.query_all(LIST, bind![events_since, event_state, events_max], decode_event).await
}
