//! Rows of users and broadcasts.

use super::SqlRow;
use postrider_core::broadcast::{Broadcast, BroadcastCounts, User};

/// Decodes a row of `users`.
pub fn decode_user<R: SqlRow>(row: &R) -> Result<User, R::Error> {
    Ok(User {
        number: row.integer("number")?,
        id: row.text("id")?,
        owner: row.text("owner")?,
        name: row.optional_text("name")?,
        contacts: row.optional_contacts("contacts")?.unwrap_or_default(),
        created_at: row.time("created_at")?,
    })
}

/// Decodes a row of `broadcasts`.
pub fn decode_broadcast<R: SqlRow>(row: &R) -> Result<Broadcast, R::Error> {
    Ok(Broadcast {
        number: row.integer("number")?,
        id: row.message_id("id")?,
        body: row.text("body")?,
        channel: row.name("channel")?,
        caller: row.text("caller")?,
        owner: row.text("owner")?,
        created_at: row.time("created_at")?,
        is_to_all: row.bool("to_all")?,
        last_user: row.integer("last_user")?,
        users: row.count("users")?,
        fan_out_position: row.integer("fan_out_position")?,
        messages: row.count("messages")?,
        unreachable: row.count("unreachable")?,
        refused: row.count("refused")?,
        is_fanned_out: row.bool("is_fanned_out")?,
    })
}

/// Decodes the counts of a broadcast's deliveries.
pub fn decode_broadcast_counts<R: SqlRow>(row: &R) -> Result<BroadcastCounts, R::Error> {
    Ok(BroadcastCounts {
        messages: row.count("messages")?,
        waiting: row.count("waiting")?,
        unconfirmed: row.count("unconfirmed")?,
        received: row.count("received")?,
        failed: row.count("failed")?,
        opened: row.count("opened")?,
        waiting_reason: row.optional_text("waiting_reason")?,
        next_try_at: row.optional_time("next_try_at")?,
        failed_reason: row.optional_text("failed_reason")?,
    })
}
