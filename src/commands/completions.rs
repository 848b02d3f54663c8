//! `console completions SHELL`: prints a completion script, generated from the command-line definition.
//!
//! Reads no configuration.

use clap::CommandFactory;

use super::print_text;
use crate::cli::{Cli, CompletionsArgs};
use postrider_core::error::Result;

/// Prints the script.
pub fn run(arguments: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "console", &mut script);
    print_text(String::from_utf8_lossy(&script))
}
