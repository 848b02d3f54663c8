//! Inbound messages in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::query::{query_all, query_optional};
use super::{recipients::apply_opt_change, store::SqliteStore, write_transaction::WriteTransaction};
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
impl InboundStore for SqliteStore {
    async fn store_inbound(&self, messages: Vec<NewInbound>) -> Result<Vec<StoredInbound>> {
        self.write("cannot store inbound messages", move |transaction| {
            messages.iter().map(|message| store_message(transaction, message)).collect()
        })
        .await
    }

    async fn find_inbound(&self, id: MessageId) -> Result<Option<InboundRecord>> {
        self.read("cannot read an inbound message", move |connection| {
            query_optional(connection, FIND, [id.bytes()], |row| decode_inbound(row))
        })
        .await
    }

    async fn inbound_messages(&self, query: InboundQuery) -> Result<Vec<InboundRecord>> {
        self.read("cannot read inbound messages", move |connection| list_messages(connection, &query)).await
    }

    async fn waiting_inbound(
        &self,
        target: InboundTarget,
        account: &str,
        limit: usize,
    ) -> Result<Vec<InboundRecord>> {
        let account = account.to_owned();
        self.read("cannot read waiting inbound messages", move |connection| {
            let values = params![target.as_str(), account, limit_to_sql(limit)];
            query_all(connection, LIST_WAITING, values, |row| decode_inbound(row))
        })
        .await
    }

    async fn mark_forwarded(&self, ids: Vec<MessageId>, at: Timestamp) -> Result<()> {
        self.write("cannot mark inbound messages as forwarded", move |transaction| {
            ids.iter().try_for_each(|id| {
                transaction.execute(MARK_HANDED_OVER, params![at.timestamp_millis(), id.bytes()]).map(drop)
            })
        })
        .await
    }
}

fn store_message(
    transaction: &mut WriteTransaction<'_>,
    message: &NewInbound,
) -> rusqlite::Result<StoredInbound> {
    let record = &message.record;
    if insert_record(transaction, record)? == 0 {
        let reference = params![record.provider.as_str(), record.reference];
        let (id, has_changed_status) =
            transaction.query_one(FIND_REPEATED, reference, |row| decode_repeated_inbound(row))?;
        let is_applied = vec![false; message.changes.len()];
        return Ok(StoredInbound { id, is_new: false, has_changed_status, is_applied });
    }
    let changes = message.changes.iter();
    let is_applied =
        changes.map(|change| apply_opt_change(transaction, change)).collect::<rusqlite::Result<Vec<_>>>()?;
    let has_changed_status = is_applied.contains(&true);
    if has_changed_status {
        transaction.execute(MARK_CHANGED_STATUS, [record.id.bytes()])?;
    }
    if let Some(event_target) = &message.event_target {
        insert_event(transaction, record, event_target)?;
    }
    Ok(StoredInbound { id: record.id, is_new: true, has_changed_status, is_applied })
}

fn insert_record(transaction: &mut WriteTransaction<'_>, record: &InboundRecord) -> rusqlite::Result<usize> {
    let record_values = params![
        record.id.bytes(),
        record.provider.as_str(),
        record.reference,
        record.channel.as_ref().map(ConfigName::as_str),
        record.from,
        record.to,
        record.body,
        record.is_incomplete,
        record.sent_at.timestamp_millis(),
        record.received_at.timestamp_millis(),
        record.action.as_str(),
        record.in_reply_to.map(|id| id.bytes()),
        record.account,
        record.route,
        record.target.map(InboundTarget::as_str),
    ];
    transaction.execute(INSERT, record_values)
}

fn insert_event(
    transaction: &mut WriteTransaction<'_>,
    record: &InboundRecord,
    event_target: &EventTarget,
) -> rusqlite::Result<()> {
    let event_values = params![
        inbound_event_key(record.id).0,
        record.id.bytes(),
        event_target.encode(),
        event_target.queue_name(),
        record.channel.as_ref().unwrap_or(&record.provider).as_str(),
        record.from,
        record.provider.as_str(),
        record.received_at.timestamp_millis(),
    ];
    transaction.execute(INSERT_EVENT, event_values).map(drop)
}

fn list_messages(connection: &Connection, query: &InboundQuery) -> rusqlite::Result<Vec<InboundRecord>> {
    let (first_id, end_id) = query.id_range();
    let provider = query.provider.as_ref().map(ConfigName::as_str);
    let limit = limit_to_sql(query.limit);
    let decode = |row: &rusqlite::Row<'_>| decode_inbound(row);
    match (&query.from, &query.account) {
        (Some(from), account) => {
            let values = params![from, first_id, end_id, query.to, provider, account, limit];
            query_all(connection, LIST_OF_SENDER, values, decode)
        }
        (None, Some(account)) => {
            let values = params![account, first_id, end_id, query.to, provider, limit];
            query_all(connection, LIST_OF_ACCOUNT, values, decode)
        }
        (None, None) => {
            query_all(connection, LIST, params![first_id, end_id, query.to, provider, limit], decode)
        }
    }
}
