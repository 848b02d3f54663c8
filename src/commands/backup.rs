//! `console backup FILE`: copies the store to a new file while it is in use.
//!
//! Never overwrites a file: a cron job whose file name contains no date would otherwise overwrite its previous
//! backup.

use super::{open_gateway, print_line, progress_bar};
use crate::cli::{BackupArgs, Cli};
use postrider_core::error::{Error, Result};

/// Copies the store and prints the file's name and size.
pub async fn run(cli: &Cli, arguments: &BackupArgs) -> Result<()> {
    let file = &arguments.file;
    if file.exists() {
        let file = file.display();
        return Err(Error::usage(format!("{file} already exists: remove it, or name another file")));
    }
    let gateway = open_gateway(cli).await?;
    let bar = progress_bar(Some(0), "pages copied");
    let drawn_bar = bar.clone();
    let progress = move |done, total| {
        drawn_bar.set_length(total);
        drawn_bar.set_position(done);
    };
    gateway.store.backup(file.clone(), Box::new(progress)).await?;
    bar.finish_and_clear();
    let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
    print_line(format_args!("copied the store to {} ({bytes} bytes)", file.display()))
}
