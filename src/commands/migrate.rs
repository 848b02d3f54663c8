//! `console migrate`: applies pending schema migrations.
//!
//! Every other command applies migrations when it opens the store; with this command an operator applies them before the
//! start.

use super::{load_config, print_line};
use crate::cli::Cli;
use postrider_core::error::Result;
use postrider_engine::config::mask_url;

/// Applies pending migrations and prints their names.
pub async fn run(cli: &Cli) -> Result<()> {
    let config = load_config(cli, &[])?;
    let applied = postrider_store::migrate(&config.store_url, postrider_store::DEFAULT_LOCK_TIMEOUT)?;
    for migration in &applied {
        print_line(format_args!("applied {migration}"))?;
    }
    print_line(format_args!("{} is up to date", mask_url(&config.store_url)))
}
