//! `console work`: workers only, for messages that another process accepts.
//!
//! Takes from the queue the processes share; with a queue in memory, which they cannot share, from the store.
//! Stops as `serve` does. Takes no messages: with `--listen` it answers machines, else nobody. With a mean time or a
//! failure rate it is a sender that only plays.

mod playing;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::crew::Crew;
use super::serve::{Door, bind};
use super::signals::Signals;
use super::{configuration, say};
use crate::cli::{Cli, Work};
use crate::config::{Config, Environment, door_is_safe, masked_url};
use crate::error::{Error, Result};
use crate::gateway::Gateway;

/// Delivers until a signal.
pub async fn run(cli: &Cli, arguments: &Work) -> Result<()> {
    let mut signals = Signals::new()?;
    let workers = arguments
        .workers
        .map(|workers| ("work.concurrency", workers.to_string()));
    let mut config = configuration(cli, workers.as_slice())?;
    if let Some(sender) = playing::sender(arguments, &Environment::of_process())? {
        config = playing::played(config, sender, arguments.workers.unwrap_or(1))?;
    }
    let listener = arguments.listen.map(|at| listener(&config, at)).transpose()?;
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
    crew.spread(&gateway);
    crew.deliver(&gateway);
    let mut door = listener.map(|listener| Door::open_to_machines(Arc::clone(&gateway), listener));
    say("working")?;
    let fault = tokio::select! {
        () = signals.next() => None,
        error = crew.fallen() => Some(error),
        error = fallen(&mut door) => Some(error),
    };
    log::info!("stopping: what is in flight is finished");
    signals.unless_again(crew.stop()).await?;
    if let Some(door) = door {
        door.close().await;
    }
    log::info!("stopped");
    fault.map_or(Ok(()), Err)
}

/// Machines are told no more than by `serve`: others than those of this host need a key.
fn listener(config: &Config, at: SocketAddr) -> Result<TcpListener> {
    door_is_safe(config, at)?;
    let listener = bind(at)?;
    if let Ok(at) = listener.local_addr() {
        log::info!("metrics at http://{at}/metrics");
    }
    Ok(listener)
}

/// Waits until the door, if there is one, ends without having been told.
async fn fallen(door: &mut Option<Door>) -> Error {
    match door {
        Some(door) => door.fallen().await,
        None => std::future::pending().await,
    }
}
