//! `console work`: workers only, for messages that another process accepts.
//!
//! Takes from the queue the processes share; with a queue in memory, which they cannot share, from the store.
//! Stops as `serve` does, and never listens.

use std::sync::Arc;

use super::crew::Crew;
use super::signals::Signals;
use super::{configuration, say};
use crate::cli::{Cli, Work};
use crate::config::masked_url;
use crate::error::Result;
use crate::gateway::Gateway;

/// Delivers until a signal.
pub async fn run(cli: &Cli, arguments: &Work) -> Result<()> {
    let mut signals = Signals::new()?;
    let workers = arguments
        .workers
        .map(|workers| ("work.concurrency", workers.to_string()));
    let config = configuration(cli, workers.as_slice())?;
    let gateway = Arc::new(Gateway::open(config).await?);
    log::info!(
        "working on store {}, queue {}",
        masked_url(&gateway.config.store_url),
        masked_url(&gateway.config.queue_url)
    );
    if gateway.is_sandbox() {
        log::warn!("this is a sandbox: mock providers only play, and nothing really leaves");
    }
    let mut crew = Crew::new();
    crew.keep_in_step(&gateway);
    crew.deliver(&gateway);
    say("working")?;
    let fault = tokio::select! {
        () = signals.next() => None,
        error = crew.fallen() => Some(error),
    };
    log::info!("stopping: what is in flight is finished");
    signals.unless_again(crew.stop()).await?;
    log::info!("stopped");
    fault.map_or(Ok(()), Err)
}
