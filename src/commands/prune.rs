//! `console prune`: deletes old messages that have ended, a few at a time, beside a running gateway.
//!
//! What waits is never deleted, and what the report counted stays counted.

use super::{bar, counted, gateway, moment, number, say};
use crate::cli::{Cli, Prune};
use crate::error::Result;
use crate::flow::prune::prune;

/// Deletes and says how many.
pub async fn run(cli: &Cli, arguments: &Prune) -> Result<()> {
    let gateway = gateway(cli).await?;
    let before = gateway.clock.now() - arguments.older_than;
    let bar = bar(None, "messages deleted:");
    let pruned = prune(&gateway, arguments.older_than, |some| bar.inc(number(some))).await?;
    bar.finish_and_clear();
    say(format_args!(
        "deleted {} accepted before {}",
        counted(number(pruned), "message"),
        moment(before)
    ))
}
