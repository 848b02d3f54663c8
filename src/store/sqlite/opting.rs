//! What persons ask of us by text: no more messages, or messages again.
//!
//! Runs inside the writer's transaction and never begins or ends one.

use rusqlite::params;

use super::desk::Desk;
use crate::domain::inbound::{Opting, Wish};

static OUT: &str = include_str!("../../../sql/sqlite/opt_out.sql");
static IN: &str = include_str!("../../../sql/sqlite/opt_in.sql");

/// See [`crate::store::Store::opt`].
pub fn opt(desk: &mut Desk<'_>, wishes: &[Opting]) -> rusqlite::Result<Vec<bool>> {
    wishes.iter().map(|wish| opt_one(desk, wish)).collect()
}

fn opt_one(desk: &mut Desk<'_>, opting: &Opting) -> rusqlite::Result<bool> {
    let statement = match opting.wish {
        Wish::Stop => OUT,
        Wish::Start => IN,
    };
    let changed = desk.statement(statement)?.execute(params![
        opting.channel.as_str(),
        opting.address,
        opting.reason,
        opting.by.as_str(),
        opting.at.timestamp_millis(),
    ])?;
    desk.set_knows_recipients();
    Ok(changed > 0)
}
