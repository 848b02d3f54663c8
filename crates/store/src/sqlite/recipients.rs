//! What persons ask of us by text: no more messages, or messages again.
//!
//! Runs inside the writer's transaction and never begins or ends one.

use rusqlite::params;

use super::admin::suppress_waiting;
use super::write_transaction::WriteTransaction;
use postrider_core::inbound::{OptAction, OptChange};

static OPT_OUT: &str = include_str!("../../../../sql/sqlite/recipients/opt_out_recipient.sql");
static INSERT_SEEN_TEXT: &str = include_str!("../../../../sql/sqlite/recipients/insert_opt_message.sql");
static OPT_IN: &str = include_str!("../../../../sql/sqlite/recipients/opt_in_recipient.sql");

/// See [`crate::Store::opt`].
pub fn apply_opt_changes(
    desk: &mut WriteTransaction<'_>,
    wishes: &[OptChange],
) -> rusqlite::Result<Vec<bool>> {
    wishes.iter().map(|wish| apply_opt_change(desk, wish)).collect()
}

fn apply_opt_change(desk: &mut WriteTransaction<'_>, opting: &OptChange) -> rusqlite::Result<bool> {
    if !is_new(desk, opting)? {
        return Ok(false);
    }
    let statement = match opting.action {
        OptAction::OptOut => OPT_OUT,
        OptAction::OptIn => OPT_IN,
    };
    let changed = desk.statement(statement)?.execute(params![
        opting.channel.as_str(),
        opting.address,
        opting.reason,
        opting.provider.as_str(),
        opting.at.timestamp_millis(),
    ])?;
    desk.mark_has_recipients();
    if opting.action == OptAction::OptOut {
        suppress_waiting(desk, &opting.channel, &opting.address, opting.at)?;
    }
    Ok(changed > 0)
}

/// Whether the text was not heard before.
fn is_new(desk: &mut WriteTransaction<'_>, opting: &OptChange) -> rusqlite::Result<bool> {
    let Some(reference) = &opting.reference else {
        return Ok(true);
    };
    let noted = desk.statement(INSERT_SEEN_TEXT)?.execute(params![
        opting.provider.as_str(),
        reference,
        opting.channel.as_str(),
        opting.address,
        opting.at.timestamp_millis(),
    ])?;
    Ok(noted > 0)
}
