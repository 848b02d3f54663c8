//! `console move`: copies the store to another one while it is in use, then switches to the new store.
//!
//! On a terminal the command asks before the switch; elsewhere it needs `--switch`. An interrupted move continues when the
//! command is run again.

use std::cell::Cell;
use std::io::{BufRead, IsTerminal};

use indicatif::ProgressBar;

use super::{format_count, load_config, print_line, progress_bar};
use crate::cli::{Cli, MoveArgs};
use postrider_core::duration::format_duration;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::random::Random;
use postrider_engine::config::mask_url;
use postrider_store::{MoveOptions, MoveStage, StoreMove, TableComparison};

/// Moves the store, or abandons a move.
pub async fn run(cli: &Cli, arguments: &MoveArgs) -> Result<()> {
    let source_url = match &arguments.from {
        Some(url) => url.clone(),
        None => load_config(cli, &[])?.store_url,
    };
    let options = MoveOptions {
        from: &source_url,
        to: &arguments.to,
        batch_rows: usize::try_from(arguments.batch).unwrap_or(usize::MAX),
        lock_timeout: postrider_store::DEFAULT_LOCK_TIMEOUT,
    };
    let random_number = || i64::from_be_bytes(Random::default().bytes());
    if arguments.abandon {
        StoreMove::abandon(options, random_number()).await?;
        return print_line(format_args!("move abandoned; {} is used as before", mask_url(&source_url)));
    }
    let mut store_move = StoreMove::open(options, [random_number(), random_number()]).await?;
    if store_move.stage() == MoveStage::Copying {
        copy_rows(&mut store_move).await?;
        if !confirm_switch(arguments)? {
            return print_line(
                "copy complete; changes are tracked. Run the same command with --switch to copy them and to switch to the \
                 new store",
            );
        }
        close_old_store(&mut store_move, arguments).await?;
    }
    compare_and_switch(&mut store_move, &mask_url(&arguments.to)).await
}

async fn copy_rows(store_move: &mut StoreMove) -> Result<()> {
    let [total, already_copied] = store_move.row_counts().await?;
    let bar = progress_bar(Some(total), "rows copied");
    let copied = Cell::new(0);
    let on_copied = |rows| advance_progress(&bar, already_copied, &copied, rows);
    store_move.copy(on_copied).await?;
    store_move.catch_up().await?;
    bar.finish_and_clear();
    print_line(format_args!(
        "copied {} and {} made during the copy",
        format_count(copied.get(), "row"),
        format_count(store_move.changes(), "change")
    ))
}

/// Adds copied rows to the counter and the progress bar.
fn advance_progress(bar: &ProgressBar, already_copied: u64, copied: &Cell<u64>, rows: u64) {
    copied.set(copied.get() + rows);
    let position = already_copied + copied.get();
    // The gateway may store more rows during the copy, so the length of the bar can grow.
    if bar.length().is_some_and(|length| length < position) {
        bar.set_length(position);
    }
    bar.set_position(position);
}

fn confirm_switch(arguments: &MoveArgs) -> Result<bool> {
    if arguments.switch {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    print_line(
        "copy complete. The switch closes the old store permanently: processes on it accept and send no more messages.\n\
         Switch now? [y/N]",
    )?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|cause| Error::with_source(ErrorKind::Unavailable, "cannot read the answer", cause))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn close_old_store(store_move: &mut StoreMove, arguments: &MoveArgs) -> Result<()> {
    let bar = progress_bar(None, "calls in flight:");
    let target_url = mask_url(&arguments.to);
    let closing = store_move.close(&target_url, arguments.wait, |calls| bar.set_position(calls));
    let in_flight = closing.await?;
    bar.finish_and_clear();
    if in_flight > 0 {
        print_line(format_args!(
            "{} still in flight after {}: the new store will show them as unknown",
            format_count(in_flight, "call"),
            format_duration(arguments.wait)
        ))?;
    }
    print_line("old store closed")
}

async fn compare_and_switch(store_move: &mut StoreMove, target_url: &str) -> Result<()> {
    let bar = progress_bar(None, "rows compared:");
    let comparisons = store_move.compare(|rows| bar.inc(rows)).await?;
    bar.finish_and_clear();
    print_comparison(&comparisons)?;
    if let Some(different) = comparisons.iter().find(|comparison| !comparison.is_same()) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "stores differ in table {}: the new store stays closed; --abandon reopens the old one",
                different.table
            ),
        ));
    }
    store_move.open_target().await?;
    print_line(format_args!(
        "moved: both stores are identical; {target_url} is now the active store. Set store.url in the configuration to it and \
         start again"
    ))
}

fn print_comparison(comparisons: &[TableComparison]) -> Result<()> {
    print_line(format_args!("{:<20} {:>12} {:>12}  {:<32}", "table", "old", "new", "checksum"))?;
    for comparison in comparisons {
        let [old_rows, new_rows] = comparison.rows;
        let [old_checksum, new_checksum] = comparison.checksums;
        let checksum = if comparison.is_same() {
            format!("{old_checksum:032x}")
        } else {
            format!("{old_checksum:032x} {new_checksum:032x} DIFFERENT")
        };
        print_line(format_args!("{:<20} {old_rows:>12} {new_rows:>12}  {checksum}", comparison.table))?;
    }
    Ok(())
}
