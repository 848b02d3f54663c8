//! `console man`: prints the manual page, or writes one page for each command into a folder.
//!
//! Pages are generated from the command-line definition. Reads no configuration.

use std::path::Path;

use clap::CommandFactory;

use super::{print_line, print_text};
use crate::cli::{Cli, ManArgs};
use postrider_core::error::{Error, ErrorKind, Result};

/// Prints or writes the pages.
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
    let folder_name = folder.display();
    clap_mangen::generate_to(Cli::command(), folder).map_err(|cause| {
        let message = format!("cannot write manual pages to {folder_name}: it must be a writable folder");
        Error::with_source(ErrorKind::Unavailable, message, cause)
    })?;
    print_line(format_args!("wrote the manual pages to {folder_name}"))
}
