//! The outbox of webhook events: claimed by endpoint, recorded, dead-lettered, listed and replayed.

use std::time::Duration;

use async_trait::async_trait;

use super::errors::PgError;
use super::escape::escape_text;
use super::pool::{PgTransaction, bind, column};
use super::read::message_number;
use super::store::PostgresStore;
use crate::events::{DeadLetterRequest, EventQuery, EventStore, WaitingEndpoint};
use crate::rows::events::{decode_claimed_event, decode_event, decode_waiting_endpoint};
use crate::rows::{delivery_id_range, limit_to_sql};
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::event::{
    ClaimedEvent, Event, EventAttemptResult, EventKey, EventStatusKind, EventTarget,
};

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
        let context = "cannot read waiting endpoints";
        run_transaction!(self.begin_read, context, |transaction| waiting_endpoints(
            &transaction,
            after,
            limit
        ))
    }

    async fn claim_events(
        &self,
        requested: Vec<(String, usize)>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        let context = "cannot claim events";
        run_transaction!(self.begin_write, context, |transaction| claim(
            &transaction,
            &requested,
            now,
            now + lease
        ))
    }

    async fn record_events(&self, results: Vec<EventAttemptResult>) -> Result<()> {
        let context = "cannot record event results";
        run_transaction!(self.begin_write, context, |transaction| record(&transaction, &results))
    }

    async fn dead_letter_events(&self, request: DeadLetterRequest) -> Result<usize> {
        let context = "cannot dead-letter events";
        run_transaction!(self.begin_write, context, |transaction| dead_letter(&transaction, &request))
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Event>> {
        let context = "cannot read events";
        run_transaction!(self.begin_read, context, |transaction| events(&transaction, &query))
    }

    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize> {
        let context = "cannot replay events";
        run_transaction!(self.begin_write, context, |transaction| replay(&transaction, &keys, now))
    }
}

async fn waiting_endpoints(
    transaction: &PgTransaction,
    after: &str,
    limit: usize,
) -> Result<Vec<WaitingEndpoint>, PgError> {
    let rows = transaction.query(WAITING_ENDPOINTS, bind![after, limit_to_sql(limit)]).await?;
    rows.iter().map(decode_waiting_endpoint).collect()
}

async fn claim(
    transaction: &PgTransaction,
    requested: &[(String, usize)],
    now: Timestamp,
    lease_expires_at: Timestamp,
) -> Result<Vec<ClaimedEvent>, PgError> {
    let rows = transaction
        .query(
            CLAIM,
            bind![
                column(requested, |(endpoint, _)| endpoint.as_str()),
                column(requested, |(_, capacity)| limit_to_sql(*capacity)),
                now.timestamp_millis(),
                lease_expires_at.timestamp_millis(),
            ],
        )
        .await?;
    rows.iter().map(decode_claimed_event).collect()
}

async fn record(transaction: &PgTransaction, results: &[EventAttemptResult]) -> Result<(), PgError> {
    // Sorted by key, so that two processes do not deadlock.
    let mut results = results.iter().collect::<Vec<_>>();
    results.sort_by_key(|result| result.key);
    transaction
        .execute(
            RECORD,
            bind![
                column(&results, |result| result.key.delivery.0),
                column(&results, |result| i64::from(result.key.sequence)),
                column(&results, |result| i64::from(result.claims)),
                column(&results, |result| result.status.kind().as_str()),
                column(&results, |result| result.status.time().timestamp_millis()),
                column(&results, |result| i64::from(result.tries)),
                column(&results, |result| escape_text(&result.result)),
            ],
        )
        .await?;
    Ok(())
}

async fn dead_letter(transaction: &PgTransaction, request: &DeadLetterRequest) -> Result<usize, PgError> {
    let target = request.event_target.as_ref().map(EventTarget::encode);
    let count = transaction
        .execute(
            MARK_DEAD,
            bind![
                request.endpoint.as_str(),
                target.as_deref(),
                request.before.timestamp_millis(),
                request.now.timestamp_millis(),
                escape_text(&request.reason),
                limit_to_sql(request.limit),
            ],
        )
        .await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

async fn replay(transaction: &PgTransaction, keys: &[EventKey], now: Timestamp) -> Result<usize, PgError> {
    let deliveries = column(keys, |key| key.delivery.0);
    let sequences = column(keys, |key| i64::from(key.sequence));
    let count = transaction.execute(REPLAY, bind![deliveries, sequences, now.timestamp_millis()]).await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

async fn events(transaction: &PgTransaction, query: &EventQuery) -> Result<Vec<Event>, PgError> {
    let since = query.since.map_or(i64::MIN, |since| since.timestamp_millis());
    let state = query.state.map(EventStatusKind::as_str);
    let limit = limit_to_sql(query.limit);
    let rows = if let Some(message) = query.message {
        let Some(number) = message_number(transaction, message).await? else {
            return Ok(Vec::new());
        };
        let (first, last) = delivery_id_range(number);
        transaction.query(LIST_OF_MESSAGE, bind![first, last, since, state, limit]).await?
    } else if query.state == Some(EventStatusKind::Dead) {
        transaction.query(LIST_DEAD, bind![since, limit]).await?
    } else {
        transaction.query(LIST, bind![since, state, limit]).await?
    };
    rows.iter().map(decode_event).collect()
}
