//! `console completions SHELL`: prints a completion script, generated from the command-line definition.
//!
//! Reads no configuration.

use clap::CommandFactory;
use clap_complete::Shell;

use super::print_text;
use crate::cli::{Cli, CompletionsArgs};
use postrider_core::error::Result;

/// Wrapper around the generated function of bash. It is needed because bash splits words at colons: `resend:msg` would
/// be three words.
const BASH_COLONS: &str = include_str!("completions/colons.bash");

/// Prints the script.
pub fn run(arguments: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "console", &mut script);
    let wrapper = if arguments.shell == Shell::Bash { BASH_COLONS } else { "" };
    print_text(format_args!("{}{wrapper}", String::from_utf8_lossy(&script)))
}
