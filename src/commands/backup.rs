//! `console backup FILE`: a copy of the whole store in one file, made while the store is in use.
//!
//! Never overwrites: a cron line that forgot the date would otherwise destroy its own last copy.

use super::{open_gateway, print_line, progress_bar};
use crate::cli::{BackupArgs, Cli};
use postrider_core::error::{Error, Result};

/// Copies and says where to.
pub async fn run(cli: &Cli, arguments: &BackupArgs) -> Result<()> {
    let file = &arguments.file;
    if file.exists() {
        let file = file.display();
        return Err(Error::usage(format!(
            "{file} exists already: remove it, or give another name"
        )));
    }
    let gateway = open_gateway(cli).await?;
    let bar = progress_bar(Some(0), "pages copied");
    let drawn = bar.clone();
    let progress = move |done, all| {
        drawn.set_length(all);
        drawn.set_position(done);
    };
    gateway.store.backup(file.clone(), Box::new(progress)).await?;
    bar.finish_and_clear();
    let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
    print_line(format_args!(
        "copied the store to {} ({bytes} bytes)",
        file.display()
    ))
}
