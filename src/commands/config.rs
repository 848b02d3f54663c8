//! `console config`: prints the commented example configuration.

use super::print_text;
use postrider_core::error::Result;

/// Text of `console.example.toml`; unchanged, the file equals the defaults.
const EXAMPLE_CONFIG: &str = include_str!("../../console.example.toml");

/// Prints the example on stdout.
pub fn run() -> Result<()> {
    print_text(EXAMPLE_CONFIG)
}
