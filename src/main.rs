//! Parses, starts the log, matches a command, sets the exit code.

fn main() {}
