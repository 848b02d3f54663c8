//! `console prune`: deletes old messages that have ended, a few at a time, beside a running gateway.
//!
//! What waits is never deleted, and what the report counted stays counted.

use super::{bar, counted, elsewhere, gateway, moment, number, say};
use crate::cli::{Cli, Prune};
use crate::domain::turn::Task;
use crate::error::Result;
use crate::flow::prune::{Age, prune};
use crate::flow::turn::{self, Done, TOGETHER};

/// Deletes and says how many.
pub async fn run(cli: &Cli, arguments: &Prune) -> Result<()> {
    let gateway = gateway(cli).await?;
    let before = gateway.clock.now() - arguments.older_than;
    let bar = bar(None, "messages deleted:");
    let age = Age {
        older_than: arguments.older_than,
        whole_months: arguments.whole_months,
    };
    let work = prune(&gateway, age, |some| bar.inc(number(some)));
    let pruned = match turn::once(&gateway, Task::Prune, TOGETHER, work).await? {
        Done::Here(pruned) => pruned,
        Done::Elsewhere(owner) => return say(elsewhere("the pruning", &owner)),
    };
    bar.finish_and_clear();
    say(format_args!(
        "deleted {} accepted before {}",
        counted(number(pruned), "message"),
        moment(before)
    ))
}
