//! Inbound messages in PostgreSQL.

use async_trait::async_trait;

use super::pool::{PgTransaction, bind};
use super::{errors::PgError, escape::escape_text, recipients::apply_opt_changes, store::PostgresStore};
use crate::inbound::{InboundQuery, InboundStore};
use crate::rows::inbound::{decode_inbound, decode_repeated_inbound};
use crate::rows::limit_to_sql;
use postrider_core::event::EventTarget;
use postrider_core::id::MessageId;
use postrider_core::inbound_record::{
    InboundRecord, InboundTarget, NewInbound, StoredInbound, inbound_event_key,
};
use postrider_core::{clock::Timestamp, error::Result, name::ConfigName};

static INSERT: &str = sql!("common/inbound/insert_message");
static FIND_REPEATED: &str = sql!("common/inbound/find_repeated");
static MARK_CHANGED_STATUS: &str = sql!("common/inbound/mark_changed_status");
static MARK_HANDED_OVER: &str = sql!("common/inbound/mark_forwarded");
static INSERT_EVENT: &str = sql!("common/inbound/insert_event");
static FIND: &str = sql!("common/inbound/find_message");
static LIST: &str = sql!("common/inbound/list_messages");
static LIST_OF_ACCOUNT: &str = sql!("common/inbound/list_of_account");
static LIST_OF_SENDER: &str = sql!("common/inbound/list_of_sender");
static LIST_WAITING: &str = sql!("common/inbound/list_waiting");

#[async_trait]
impl InboundStore for PostgresStore {
    async fn store_inbound(&self, messages: Vec<NewInbound>) -> Result<Vec<StoredInbound>> {
        run_transaction!(self.begin_write, "cannot store inbound messages", |transaction| {
            store_messages(transaction, &messages).await
        })
    }

    async fn find_inbound(&self, id: MessageId) -> Result<Option<InboundRecord>> {
        run_transaction!(self.begin_read, "cannot read an inbound message", |transaction| {
            transaction.query_optional(FIND, bind![id.bytes().to_vec()], decode_inbound).await
        })
    }

    async fn inbound_messages(&self, query: InboundQuery) -> Result<Vec<InboundRecord>> {
        run_transaction!(self.begin_read, "cannot read inbound messages", |transaction| {
            list_messages(transaction, &query).await
        })
    }

    async fn waiting_inbound(
        &self,
        target: InboundTarget,
        account: &str,
        limit: usize,
    ) -> Result<Vec<InboundRecord>> {
        run_transaction!(self.begin_read, "cannot read waiting inbound messages", |transaction| {
            let values = bind![target.as_str(), escape_text(account), limit_to_sql(limit)];
            transaction.query_all(LIST_WAITING, values, decode_inbound).await
        })
    }

    async fn mark_forwarded(&self, mut ids: Vec<MessageId>, at: Timestamp) -> Result<()> {
        // Sorted, so that two processes do not deadlock.
        ids.sort();
        run_transaction!(self.begin_write, "cannot mark inbound messages as forwarded", |transaction| {
            for id in &ids {
                let values = bind![at.timestamp_millis(), id.bytes().to_vec()];
                transaction.execute(MARK_HANDED_OVER, values).await?;
            }
            Ok(())
        })
    }
}

async fn store_messages(
    transaction: &PgTransaction,
    messages: &[NewInbound],
) -> Result<Vec<StoredInbound>, PgError> {
    let mut stored = Vec::with_capacity(messages.len());
    for message in messages {
        stored.push(store_message(transaction, message).await?);
    }
    Ok(stored)
}

async fn store_message(transaction: &PgTransaction, message: &NewInbound) -> Result<StoredInbound, PgError> {
    let record = &message.record;
    if insert_record(transaction, record).await? == 0 {
        let reference = record.reference.as_deref().map(escape_text);
        let values = bind![record.provider.as_str(), reference];
        let row = transaction.query_one(FIND_REPEATED, values).await?;
        let (id, has_changed_status) = decode_repeated_inbound(&row)?;
        let is_applied = vec![false; message.changes.len()];
        return Ok(StoredInbound { id, is_new: false, has_changed_status, is_applied });
    }
    let is_applied = apply_opt_changes(transaction, &message.changes).await?;
    let has_changed_status = is_applied.contains(&true);
    if has_changed_status {
        transaction.execute(MARK_CHANGED_STATUS, bind![record.id.bytes().to_vec()]).await?;
    }
    if let Some(event_target) = &message.event_target {
        insert_event(transaction, record, event_target).await?;
    }
    Ok(StoredInbound { id: record.id, is_new: true, has_changed_status, is_applied })
}

async fn insert_record(transaction: &PgTransaction, record: &InboundRecord) -> Result<u64, PgError> {
    let values = bind![
        record.id.bytes().to_vec(),
        record.provider.as_str(),
        record.reference.as_deref().map(escape_text),
        record.channel.as_ref().map(ConfigName::as_str),
        escape_text(&record.from),
        escape_text(&record.to),
        escape_text(&record.body),
        i64::from(record.is_incomplete),
        record.sent_at.timestamp_millis(),
        record.received_at.timestamp_millis(),
        record.action.as_str(),
        record.in_reply_to.map(|id| id.bytes().to_vec()),
        escape_text(&record.account),
        record.route.as_deref().map(escape_text),
        record.target.map(InboundTarget::as_str),
    ];
    transaction.execute_and_count(INSERT, values).await
}

async fn insert_event(
    transaction: &PgTransaction,
    record: &InboundRecord,
    event_target: &EventTarget,
) -> Result<(), PgError> {
    let (target, endpoint) = (event_target.encode(), event_target.queue_name());
    let values = bind![
        inbound_event_key(record.id).0,
        record.id.bytes().to_vec(),
        target.as_str(),
        endpoint.as_str(),
        record.channel.as_ref().unwrap_or(&record.provider).as_str(),
        escape_text(&record.from),
        record.provider.as_str(),
        record.received_at.timestamp_millis(),
    ];
    transaction.execute(INSERT_EVENT, values).await
}

async fn list_messages(
    transaction: &PgTransaction,
    query: &InboundQuery,
) -> Result<Vec<InboundRecord>, PgError> {
    let (first_id, end_id) = query.id_range();
    let provider = query.provider.as_ref().map(ConfigName::as_str);
    let receiver = query.to.as_deref().map(escape_text);
    let account = query.account.as_deref().map(escape_text);
    let limit = limit_to_sql(query.limit);
    match (&query.from, account) {
        (Some(from), account) => {
            let values = bind![escape_text(from), first_id, end_id, receiver, provider, account, limit];
            transaction.query_all(LIST_OF_SENDER, values, decode_inbound).await
        }
        (None, Some(account)) => {
            let values = bind![account, first_id, end_id, receiver, provider, limit];
            transaction.query_all(LIST_OF_ACCOUNT, values, decode_inbound).await
        }
        (None, None) => {
            let values = bind![first_id, end_id, receiver, provider, limit];
            transaction.query_all(LIST, values, decode_inbound).await
        }
    }
}
