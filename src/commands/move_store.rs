//! `console move`: copies everything into another store while this one is in use, then makes that one the truth.
//!
//! Says what it does as it goes; asks before the switch on a terminal, and elsewhere wants to be told. What is
//! killed goes on when it is run again.

use std::cell::Cell;
use std::io::{BufRead, IsTerminal};

use indicatif::ProgressBar;

use super::{format_count, load_config, print_line, progress_bar};
use crate::cli::{Cli, MoveArgs as Arguments};
use postrider_core::duration::format_duration;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::random::Random;
use postrider_engine::config::mask_url;
use postrider_store::{MoveOptions, MoveStage, StoreMove, TableComparison};

/// Moves, or gives a move up.
pub async fn run(cli: &Cli, arguments: &Arguments) -> Result<()> {
    let configured = match &arguments.from {
        Some(_) => None,
        None => Some(load_config(cli, &[])?.store_url),
    };
    let from = arguments.from.as_ref().or(configured.as_ref());
    let from = from.map_or("", String::as_str);
    let route = MoveOptions {
        from,
        to: &arguments.to,
        batch_rows: usize::try_from(arguments.batch).unwrap_or(usize::MAX),
        lock_timeout: postrider_store::DEFAULT_LOCK_TIMEOUT,
    };
    let luck = Random::default().bytes::<16>();
    let (one, other) = luck.split_at(8);
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0_i64, |number, byte| number << 8 | i64::from(*byte))
    };
    let luck = [number(one), number(other)];
    if arguments.abandon {
        StoreMove::abandon(route, luck[0]).await?;
        return print_line(format_args!(
            "the move is given up; {} is used as before",
            mask_url(from)
        ));
    }
    let mut under_way = StoreMove::open(route, luck).await?;
    if under_way.stage() == MoveStage::Copying {
        copy_rows(&mut under_way).await?;
        if !confirm_switch(arguments)? {
            return print_line(
                "everything is copied, and what changes is noted: run the same command with --switch to copy the rest \
                 and make the new store the truth",
            );
        }
        close_old_store(&mut under_way, arguments).await?;
    }
    compare_and_switch(&mut under_way, &mask_url(&arguments.to)).await
}

async fn copy_rows(under_way: &mut StoreMove) -> Result<()> {
    let [all, before] = under_way.row_counts().await?;
    let bar = progress_bar(Some(all), "rows copied");
    let copied = Cell::new(0);
    let progress = |rows| advance_progress(&bar, before, &copied, rows);
    under_way.copy(progress).await?;
    under_way.catch_up().await?;
    bar.finish_and_clear();
    print_line(format_args!(
        "copied {}, and {} that came meanwhile",
        format_count(copied.get(), "row"),
        format_count(under_way.changes(), "change")
    ))
}

/// Counts rows, and draws how many there were.
fn advance_progress(bar: &ProgressBar, before: u64, copied: &Cell<u64>, rows: u64) {
    copied.set(copied.get() + rows);
    let all = before + copied.get();
    // Rows come in while they are copied.
    if bar.length().is_some_and(|length| length < all) {
        bar.set_length(all);
    }
    bar.set_position(all);
}

fn confirm_switch(arguments: &Arguments) -> Result<bool> {
    if arguments.switch {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    print_line(
        "everything is copied. The switch closes the old store for good: whatever runs on it takes no more messages \
         and sends none.\nSwitch now? [y/N]",
    )?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|cause| Error::with_source(ErrorKind::Unavailable, "cannot read the answer", cause))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn close_old_store(under_way: &mut StoreMove, arguments: &Arguments) -> Result<()> {
    let waiting = progress_bar(None, "calls under way:");
    let place = mask_url(&arguments.to);
    let in_hand = under_way.close(&place, arguments.wait, |calls| waiting.set_position(calls));
    let in_hand = in_hand.await?;
    waiting.finish_and_clear();
    if in_hand > 0 {
        print_line(format_args!(
            "{} still under way after {}: the new store will show them as unknown",
            format_count(in_hand, "call"),
            format_duration(arguments.wait)
        ))?;
    }
    print_line("the old store is closed")
}

async fn compare_and_switch(under_way: &mut StoreMove, place: &str) -> Result<()> {
    let bar = progress_bar(None, "rows compared:");
    let comparisons = under_way.compare(|rows| bar.inc(rows)).await?;
    bar.finish_and_clear();
    print_comparison(&comparisons)?;
    if let Some(other) = comparisons.iter().find(|one| !one.is_same()) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "the stores differ in {}: the new one stays closed; --abandon opens the old one again",
                other.table
            ),
        ));
    }
    under_way.open_target().await?;
    print_line(format_args!(
        "moved: both stores hold the same, and {place} is the truth now. Name it in the configuration (store.url) and \
         start again"
    ))
}

fn print_comparison(comparisons: &[TableComparison]) -> Result<()> {
    print_line(format_args!(
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
        print_line(format_args!("{:<20} {old:>12} {new:>12}  {words}", one.table))?;
    }
    Ok(())
}
