//! What persons ask of us by text: no more messages, or messages again.
//!
//! Runs inside the writer's transaction and never begins or ends one.

use rusqlite::params;

use super::desk::Desk;
use super::operate::suppress;
use crate::domain::inbound::{Opting, Wish};

static OUT: &str = include_str!("../../../sql/sqlite/opt_out.sql");
static NOTE: &str = include_str!("../../../sql/sqlite/opt_note.sql");
static IN: &str = include_str!("../../../sql/sqlite/opt_in.sql");

/// See [`crate::store::Store::opt`].
pub fn opt(desk: &mut Desk<'_>, wishes: &[Opting]) -> rusqlite::Result<Vec<bool>> {
    wishes.iter().map(|wish| opt_one(desk, wish)).collect()
}

fn opt_one(desk: &mut Desk<'_>, opting: &Opting) -> rusqlite::Result<bool> {
    if !is_new(desk, opting)? {
        return Ok(false);
    }
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
    if opting.wish == Wish::Stop {
        suppress(desk, &opting.channel, &opting.address, opting.at)?;
    }
    Ok(changed > 0)
}

/// Whether the text was not heard before.
fn is_new(desk: &mut Desk<'_>, opting: &Opting) -> rusqlite::Result<bool> {
    let Some(reference) = &opting.reference else {
        return Ok(true);
    };
    let noted = desk.statement(NOTE)?.execute(params![
        opting.by.as_str(),
        reference,
        opting.channel.as_str(),
        opting.address,
        opting.at.timestamp_millis(),
    ])?;
    Ok(noted > 0)
}
