//! `console migrate`: brings the store's tables up to this version, ahead of a start that would do so anyway.
//!
//! For operators who want to see it happen, before the traffic comes.

use super::{load_config, print_line};
use crate::cli::Cli;
use postrider_core::error::Result;
use postrider_engine::config::mask_url;

/// Applies what is missing and names it.
pub async fn run(cli: &Cli) -> Result<()> {
    let config = load_config(cli, &[])?;
    let applied = postrider_store::migrate(&config.store_url, postrider_store::DEFAULT_LOCK_TIMEOUT)?;
    for migration in &applied {
        print_line(format_args!("applied {migration}"))?;
    }
    print_line(format_args!("{} is up to date", mask_url(&config.store_url)))
}
