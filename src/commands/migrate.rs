//! `console migrate`: brings the store's tables up to this version, ahead of a start that would do so anyway.
//!
//! For operators who want to see it happen, before the traffic comes.

use super::{configuration, say};
use crate::cli::Cli;
use crate::config::masked_url;
use crate::error::Result;
use crate::store;

/// Applies what is missing and names it.
pub async fn run(cli: &Cli) -> Result<()> {
    let config = configuration(cli, &[])?;
    let applied = store::migrate(&config.store_url, store::LOCK_WAIT)?;
    for migration in &applied {
        say(format_args!("applied {migration}"))?;
    }
    say(format_args!("{} is up to date", masked_url(&config.store_url)))
}
