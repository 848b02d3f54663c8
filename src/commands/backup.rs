//! `console backup FILE`: copies the store to a new file while it is in use.
//!
//! Never overwrites a file. Otherwise a cron job without a date in the file name would overwrite its previous backup.

use super::progress::ProgressLine;
use super::{open_gateway, print_line};
use crate::cli::{BackupArgs, Cli};
use postrider_core::error::{Error, Result};

/// Copies the store and prints the name and size of the backup file.
pub async fn run(cli: &Cli, arguments: &BackupArgs) -> Result<()> {
    let backup_file = &arguments.file;
    let file_name = backup_file.display();
    if backup_file.exists() {
        return Err(Error::usage(format!("{file_name} already exists: remove it, or name another file")));
    }
    let gateway = open_gateway(cli).await?;
    let progress = ProgressLine::new(Some(0), "pages copied");
    let drawn_line = progress.clone();
    let on_progress = move |copied_pages, total_pages| {
        drawn_line.set_position_of(copied_pages, total_pages);
    };
    gateway.store.backup(backup_file.clone(), Box::new(on_progress)).await?;
    progress.clear();
    let bytes = std::fs::metadata(backup_file).map_or(0, |metadata| metadata.len());
    print_line(format_args!("copied the store to {file_name} ({bytes} bytes)"))?;
    print_line(
        "store it as a secret: it contains message bodies, addresses, and the secret that signs session cookies",
    )
}
