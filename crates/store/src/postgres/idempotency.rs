//! Idempotency keys: the result that was stored for a key, and keys of new messages and broadcasts.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::errors::PgError;
use super::pool::{PgTransaction, bind, column};
use crate::rows::SqlRow;
use postrider_core::{id::MessageId, message::Idempotency};

static FIND_KEYS: &str = sql!("postgres/accept/find_idempotency_key");
static INSERT_KEYS: &str = sql!("postgres/accept/insert_idempotency_key");
static DELETE_KEYS: &str = sql!("postgres/accept/delete_idempotency_keys");

/// SHA-256 of an idempotency key.
pub type KeyHash = [u8; 32];

/// The request and the message or broadcast that were stored for a key.
pub struct IdempotencyRecord {
    pub request: [u8; 32],
    pub number: i64,
    pub id: MessageId,
}

/// Records by key.
pub type IdempotencyRecords = HashMap<KeyHash, IdempotencyRecord>;

/// Returns the records of these keys that have not expired at `now`, in milliseconds since 1970.
pub async fn load(
    transaction: &PgTransaction,
    keys: &[KeyHash],
    now: i64,
) -> Result<IdempotencyRecords, PgError> {
    if keys.is_empty() {
        return Ok(IdempotencyRecords::new());
    }
    let decode = |row: &Row| {
        let record = IdempotencyRecord {
            request: row.bytes("request")?,
            number: row.integer("number")?,
            id: row.message_id("message")?,
        };
        Ok((row.bytes("key")?, record))
    };
    transaction.query_all(FIND_KEYS, bind![to_sql(keys), now], decode).await
}

/// Stores keys, each with the number and the id of its message or broadcast. Returns the keys that no other process has
/// stored. `keys` must be sorted, so that two processes do not deadlock.
pub async fn insert(
    transaction: &PgTransaction,
    keys: &[(&Idempotency, i64, MessageId)],
    now: i64,
) -> Result<Vec<KeyHash>, PgError> {
    let values = bind![
        column(keys, |(idempotency, ..)| idempotency.key.to_vec()),
        column(keys, |(idempotency, ..)| idempotency.request.to_vec()),
        column(keys, |(_, number, _)| *number),
        column(keys, |(.., id)| id.bytes().to_vec()),
        column(keys, |(idempotency, ..)| idempotency.expires_at.timestamp_millis()),
        now,
    ];
    transaction.query_all(INSERT_KEYS, values, |row| row.bytes("key")).await
}

/// Deletes keys.
pub async fn delete(transaction: &PgTransaction, keys: &[KeyHash]) -> Result<(), PgError> {
    if !keys.is_empty() {
        transaction.execute(DELETE_KEYS, bind![to_sql(keys)]).await?;
    }
    Ok(())
}

fn to_sql(keys: &[KeyHash]) -> Vec<Vec<u8>> {
    column(keys, |key| key.to_vec())
}
