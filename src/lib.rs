//! The program `console`: command line and commands.
//!
//! A library target, so that tests and benches can use the command-line definition.

pub mod cli;
pub mod commands;
pub mod logging;
pub mod version;
