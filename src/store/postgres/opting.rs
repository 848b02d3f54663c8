//! What persons ask of us by text: no more messages, or messages again.
//!
//! Never begins or ends a transaction.

use super::fault::Trouble;
use super::link::{Desk, bind};
use super::rows::kept;
use crate::domain::inbound::{Opting, Wish};

static OUT: &str = include_str!("../../../sql/postgres/opt_out.sql");
static IN: &str = include_str!("../../../sql/postgres/opt_in.sql");

/// See [`crate::store::Store::opt`].
pub async fn opt(desk: &Desk, wishes: &[Opting]) -> Result<Vec<bool>, Trouble> {
    let mut changed = vec![false; wishes.len()];
    // In one order, so that two hosts do not wait for each other in a ring; wishes about one address stay in theirs.
    let mut ordered = wishes.iter().zip(&mut changed).collect::<Vec<_>>();
    ordered.sort_by_key(|(opting, _)| (&opting.channel, &opting.address));
    for (opting, changed) in ordered {
        let statement = match opting.wish {
            Wish::Stop => OUT,
            Wish::Start => IN,
        };
        let touched = desk
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
        *changed = touched > 0;
    }
    Ok(changed)
}
