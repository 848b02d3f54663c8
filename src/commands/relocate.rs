//! `console move`: copies everything into another store while this one is in use, then makes that one the truth.
//!
//! Says what it does as it goes; asks before the switch on a terminal, and elsewhere wants to be told. What is
//! killed goes on when it is run again.

use std::cell::Cell;
use std::io::{BufRead, IsTerminal};

use indicatif::ProgressBar;

use super::{bar, configuration, counted, say};
use crate::cli::{Cli, Move as Arguments};
use crate::config::masked_url;
use crate::dice::Dice;
use crate::error::{Error, Kind, Result};
use crate::store::{self, Comparison, Move, Route, Stage};

/// Moves, or gives a move up.
pub async fn run(cli: &Cli, arguments: &Arguments) -> Result<()> {
    let configured = match &arguments.from {
        Some(_) => None,
        None => Some(configuration(cli, &[])?.store_url),
    };
    let from = arguments.from.as_ref().or(configured.as_ref());
    let from = from.map_or("", String::as_str);
    let route = Route {
        from,
        to: &arguments.to,
        batch: usize::try_from(arguments.batch).unwrap_or(usize::MAX),
        lock_wait: store::LOCK_WAIT,
    };
    let luck = Dice::default().bytes::<16>();
    let (one, other) = luck.split_at(8);
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0_i64, |number, byte| number << 8 | i64::from(*byte))
    };
    let luck = [number(one), number(other)];
    if arguments.abandon {
        Move::abandon(route, luck[0]).await?;
        return say(format_args!(
            "the move is given up; {} is used as before",
            masked_url(from)
        ));
    }
    let mut under_way = Move::open(route, luck).await?;
    if under_way.stage() == Stage::Copying {
        copy(&mut under_way).await?;
        if !may_switch(arguments)? {
            return say(
                "everything is copied, and what changes is noted: run the same command with --switch to copy the rest \
                 and make the new store the truth",
            );
        }
        close(&mut under_way, arguments).await?;
    }
    finish(&mut under_way, &masked_url(&arguments.to)).await
}

async fn copy(under_way: &mut Move) -> Result<()> {
    let [all, before] = under_way.rows().await?;
    let bar = bar(Some(all), "rows copied");
    let copied = Cell::new(0);
    let progress = |rows| tell(&bar, before, &copied, rows);
    under_way.copy(progress).await?;
    under_way.catch_up().await?;
    bar.finish_and_clear();
    say(format_args!(
        "copied {}, and {} that came meanwhile",
        counted(copied.get(), "row"),
        counted(under_way.changes(), "change")
    ))
}

/// Counts rows, and draws how many there were.
fn tell(bar: &ProgressBar, before: u64, copied: &Cell<u64>, rows: u64) {
    copied.set(copied.get() + rows);
    let all = before + copied.get();
    // Rows come in while they are copied.
    if bar.length().is_some_and(|length| length < all) {
        bar.set_length(all);
    }
    bar.set_position(all);
}

fn may_switch(arguments: &Arguments) -> Result<bool> {
    if arguments.switch {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    say(
        "everything is copied. The switch closes the old store for good: whatever runs on it takes no more messages \
         and sends none.\nSwitch now? [y/N]",
    )?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|cause| Error::because(Kind::Unavailable, "cannot read the answer", cause))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn close(under_way: &mut Move, arguments: &Arguments) -> Result<()> {
    let waiting = bar(None, "calls under way:");
    let place = masked_url(&arguments.to);
    let in_hand = under_way.close(&place, arguments.wait, |calls| waiting.set_position(calls));
    let in_hand = in_hand.await?;
    waiting.finish_and_clear();
    if in_hand > 0 {
        say(format_args!(
            "{} still under way after {}: the new store will show them as unknown",
            counted(in_hand, "call"),
            humantime::format_duration(arguments.wait)
        ))?;
    }
    say("the old store is closed")
}

async fn finish(under_way: &mut Move, place: &str) -> Result<()> {
    let bar = bar(None, "rows compared:");
    let comparisons = under_way.compare(|rows| bar.inc(rows)).await?;
    bar.finish_and_clear();
    show(&comparisons)?;
    if let Some(other) = comparisons.iter().find(|one| !one.is_same()) {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "the stores differ in {}: the new one stays closed; --abandon opens the old one again",
                other.table
            ),
        ));
    }
    under_way.open_target().await?;
    say(format_args!(
        "moved: both stores hold the same, and {place} is the truth now. Name it in the configuration (store.url) and \
         start again"
    ))
}

fn show(comparisons: &[Comparison]) -> Result<()> {
    say(format_args!(
        "{:<20} {:>12} {:>12}  {:<32}",
        "table", "old", "new", "checksum"
    ))?;
    for one in comparisons {
        let [old, new] = one.rows;
        let sums = one.checksums;
        let words = if one.is_same() {
            format!("{:032x}", sums[0])
        } else {
            format!("{:032x} {:032x} DIFFERENT", sums[0], sums[1])
        };
        say(format_args!("{:<20} {old:>12} {new:>12}  {words}", one.table))?;
    }
    Ok(())
}
