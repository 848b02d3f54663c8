//! The outbox of webhook events: claimed by endpoint, recorded, dead-lettered, listed and replayed.

use std::time::Duration;

use async_trait::async_trait;

use super::pool::{PgTransaction, bind, column};
use super::{errors::PgError, escape::escape_text, read::message_number, store::PostgresStore};
use crate::events::{DeadLetterRequest, EventQuery, EventStore, WaitingEndpoint};
use crate::rows::events::{decode_claimed_event, decode_event, decode_waiting_endpoint, event_key_range};
use crate::rows::limit_to_sql;
use postrider_core::event::{
    ClaimedEvent, Event, EventAttemptResult, EventKey, EventStatus, EventStatusKind, EventTarget,
};
use postrider_core::{clock::Timestamp, error::Result};

static WAITING_ENDPOINTS: &str = sql!("postgres/events/list_waiting_endpoints");
static CLAIM: &str = sql!("postgres/events/claim_events");
static RECORD: &str = sql!("postgres/events/record_result");
static POSTPONE_LATER: &str = sql!("postgres/events/postpone_later_events");
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

    async fn record_events(&self, mut results: Vec<EventAttemptResult>) -> Result<()> {
        // Sorted by key, so that two processes do not deadlock.
        results.sort_by_key(|result| result.key);
        let is_failed = |result: &&EventAttemptResult| matches!(result.status, EventStatus::Waiting { .. });
        let failed_results: Vec<_> = results.iter().filter(is_failed).collect();
        run_transaction!(self.begin_write, "cannot record event results", |transaction| {
            let values = bind![
                column(&results, |result| result.key.delivery.0),
                column(&results, |result| i64::from(result.key.sequence)),
                column(&results, |result| i64::from(result.claims)),
                column(&results, |result| result.status.kind().as_str()),
                column(&results, |result| result.status.time().timestamp_millis()),
                column(&results, |result| i64::from(result.tries)),
                column(&results, |result| escape_text(&result.result)),
            ];
            transaction.execute(RECORD, values).await?;
            if failed_results.is_empty() {
                return Ok(());
            }
            let values = bind![
                column(&failed_results, |result| result.key.delivery.0),
                column(&failed_results, |result| i64::from(result.key.sequence)),
                column(&failed_results, |result| result.status.time().timestamp_millis()),
            ];
            transaction.execute(POSTPONE_LATER, values).await
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

async fn list_events(transaction: &PgTransaction, query: &EventQuery) -> Result<Vec<Event>, PgError> {
    let since = query.since.map_or(i64::MIN, |since| since.timestamp_millis());
    let state = query.state.map(EventStatusKind::as_str);
    let limit = limit_to_sql(query.limit);
    if let Some(message_id) = query.message {
        let number = message_number(transaction, message_id).await?;
        let (first_id, last_id) = event_key_range(message_id, number);
        let values = bind![first_id, last_id, since, state, limit];
        return transaction.query_all(LIST_OF_MESSAGE, values, decode_event).await;
    }
    if query.state == Some(EventStatusKind::Dead) {
        return transaction.query_all(LIST_DEAD, bind![since, limit], decode_event).await;
    }
    transaction.query_all(LIST, bind![since, state, limit], decode_event).await
}
