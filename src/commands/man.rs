//! `console man`: the manual page, made from the command line's own description.
//!
//! With a folder, a page for every command is written there, as `man console-serve` expects it.

use std::path::Path;

use clap::CommandFactory;

use super::{print_line, print_text};
use crate::cli::{Cli, ManArgs};
use postrider_core::error::{Error, ErrorKind, Result};

/// Prints the page, or writes all of them.
pub fn run(arguments: &ManArgs) -> Result<()> {
    match &arguments.folder {
        None => print_page(),
        Some(folder) => write_pages(folder),
    }
}

fn print_page() -> Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|cause| Error::with_source(ErrorKind::Internal, "cannot write the manual page", cause))?;
    print_text(String::from_utf8_lossy(&page))
}

fn write_pages(folder: &Path) -> Result<()> {
    let shown = folder.display();
    clap_mangen::generate_to(Cli::command(), folder).map_err(|cause| {
        let act = format!("cannot write manual pages to {shown}: it must be a folder you may write to");
        Error::with_source(ErrorKind::Unavailable, act, cause)
    })?;
    print_line(format_args!("wrote the manual pages to {shown}"))
}
