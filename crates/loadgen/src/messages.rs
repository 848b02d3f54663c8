//! Generated messages: random texts to random phone numbers, accepted as fast as the store can write.
//!
//! Calls `engine::accept` in batches, without an HTTP API. Sends nothing.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::random_data::{TEXT_CHARS_MAX, random_phone_number, random_text};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::random::Random;
use postrider_engine::accept::{AcceptBatch, AcceptError, AcceptRequest};
use postrider_engine::gateway::Gateway;

/// Number of messages stored in one transaction. Random phone numbers touch the whole address index, and a transaction
/// writes each touched page only once: 49,000 messages/s were measured with 1,000 messages per transaction, 70,000 with
/// 8,000.
const MESSAGES_PER_TRANSACTION: u32 = 8_000;

/// Accepts `count` generated messages over `channel` and returns how many were stored.
///
/// Calls `on_stored` with the size of each stored batch. Ends early when `is_running` returns false. The same seed gives
/// the same numbers and texts in the same order.
pub async fn generate_messages(
    gateway: &Arc<Gateway>,
    channel: &str,
    count: u32,
    random: &Random,
    is_running: impl Fn() -> bool,
    on_stored: impl Fn(u64),
) -> Result<u64> {
    let (mut remaining, mut stored_count) = (count, 0);
    let mut write_task = None;
    while remaining > 0 && is_running() {
        let batch_size = remaining.min(MESSAGES_PER_TRANSACTION);
        // The next batch is generated while the previous batch is written.
        let batch = generate_batch(gateway, channel, batch_size, random)?;
        remaining -= batch_size;
        stored_count += wait_until_stored(write_task.take(), &on_stored).await?;
        let gateway = Arc::clone(gateway);
        write_task = Some(tokio::spawn(async move { batch.store(&gateway).await }));
    }
    Ok(stored_count + wait_until_stored(write_task, &on_stored).await?)
}

async fn wait_until_stored(
    write_task: Option<JoinHandle<Result<u64>>>,
    on_stored: &impl Fn(u64),
) -> Result<u64> {
    let Some(write_task) = write_task else {
        return Ok(0);
    };
    let stored = write_task.await;
    let stored_count = stored
        .map_err(|panic| Error::with_source(ErrorKind::Internal, "storing messages failed", panic))??;
    on_stored(stored_count);
    Ok(stored_count)
}

fn generate_batch(gateway: &Gateway, channel: &str, count: u32, random: &Random) -> Result<AcceptBatch> {
    let mut batch = AcceptBatch::default();
    for _ in 0..count {
        let request = AcceptRequest {
            body: random_text(random),
            addresses: vec![(channel.to_owned(), random_phone_number(random))],
            ..AcceptRequest::default()
        };
        batch.add(gateway, request).map_err(|error| accept_error(&error, channel))?;
    }
    Ok(batch)
}

fn accept_error(error: &AcceptError, channel: &str) -> Error {
    match error {
        AcceptError::UnknownChannel(_) => {
            Error::usage(format!("unknown channel {channel}; name another one with --channel"))
        }
        AcceptError::InvalidAddress { cause, .. } => Error::usage(format!(
            "generated number is not valid for channel {channel}: {cause}; set numbers = \"possible\", or name a \
             channel for phone numbers with --channel"
        )),
        AcceptError::BodyTooLong(chars_max) => Error::usage(format!(
            "limits.message_chars_max is {chars_max}, but generated texts have up to {TEXT_CHARS_MAX} characters"
        )),
        other => Error::new(ErrorKind::Internal, format!("generated message was not accepted: {other:?}")),
    }
}
