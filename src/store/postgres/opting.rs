//! What persons ask of us by text: no more messages, or messages again.
//!
//! Never begins or ends a transaction.

use super::fault::Trouble;
use super::link::{Desk, bind};
use super::operate::suppress;
use super::rows::kept;
use crate::domain::inbound::{Opting, Wish};

static OUT: &str = include_str!("../../../sql/postgres/opt_out.sql");
static NOTE: &str = include_str!("../../../sql/postgres/opt_note.sql");
static IN: &str = include_str!("../../../sql/postgres/opt_in.sql");

/// See [`crate::store::Store::opt`].
pub async fn opt(desk: &Desk, wishes: &[Opting]) -> Result<Vec<bool>, Trouble> {
    let mut changed = vec![false; wishes.len()];
    // In one order, so that two hosts do not wait for each other in a ring; wishes about one address stay in theirs.
    let mut ordered = wishes.iter().zip(&mut changed).collect::<Vec<_>>();
    ordered.sort_by_key(|(opting, _)| (&opting.channel, &opting.address));
    for (opting, changed) in ordered {
        *changed = opt_one(desk, opting).await?;
    }
    Ok(changed)
}

async fn opt_one(desk: &Desk, opting: &Opting) -> Result<bool, Trouble> {
    if !is_new(desk, opting).await? {
        return Ok(false);
    }
    let statement = match opting.wish {
        Wish::Stop => OUT,
        Wish::Start => IN,
    };
    let changed = desk
        .run(
            statement,
            bind![
                opting.channel.as_str(),
                kept(&opting.address),
                kept(&opting.reason),
                opting.by.as_str(),
                opting.at.timestamp_millis(),
            ],
        )
        .await?;
    if opting.wish == Wish::Stop {
        suppress(desk, &opting.channel, &opting.address, opting.at).await?;
    }
    Ok(changed > 0)
}

/// Whether the text was not heard before.
async fn is_new(desk: &Desk, opting: &Opting) -> Result<bool, Trouble> {
    let Some(reference) = &opting.reference else {
        return Ok(true);
    };
    let noted = desk
        .run(
            NOTE,
            bind![
                opting.by.as_str(),
                kept(reference),
                opting.channel.as_str(),
                kept(&opting.address),
                opting.at.timestamp_millis(),
            ],
        )
        .await?;
    Ok(noted > 0)
}
