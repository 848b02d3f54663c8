//! `console man`: the manual page, made from the command line's own description.
//!
//! With a folder, a page for every command is written there, as `man console-serve` expects it.

use std::path::Path;

use clap::CommandFactory;

use super::{print, say};
use crate::cli::{Cli, Man};
use crate::error::{Error, Kind, Result};

/// Prints the page, or writes all of them.
pub fn run(arguments: &Man) -> Result<()> {
    match &arguments.folder {
        None => print_page(),
        Some(folder) => write_pages(folder),
    }
}

fn print_page() -> Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|cause| Error::because(Kind::Internal, "cannot write the manual page", cause))?;
    print(String::from_utf8_lossy(&page))
}

fn write_pages(folder: &Path) -> Result<()> {
    let shown = folder.display();
    clap_mangen::generate_to(Cli::command(), folder).map_err(|cause| {
        let act = format!("cannot write manual pages to {shown}: it must be a folder you may write to");
        Error::because(Kind::Unavailable, act, cause)
    })?;
    say(format_args!("wrote the manual pages to {shown}"))
}
