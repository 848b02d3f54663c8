//! The program `console`: command line, commands, and the background tasks of a process.
//!
//! The library target exists so that tests and benches can use the command-line definition.

pub mod cli;
pub mod commands;
