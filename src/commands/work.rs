//! `console work`: workers only, for messages that another process accepts.
//!
//! Takes from the queue the processes share; with a queue in memory, which they cannot share, from the store.
//! Stops as `serve` does. Takes no messages: with `--listen` it answers machines, else nobody. With a mean time or a
//! failure rate it is a sender that only plays.

mod mock_worker;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::background::BackgroundTasks;
use super::serve::{HttpServer, bind_listener};
use super::signals::TerminationSignals;
use super::{load_config, print_line};
use crate::cli::{Cli, WorkArgs};
use postrider_core::error::{Error, Result};
use postrider_engine::config::{Config, Environment, check_listen_address, mask_url};
use postrider_engine::gateway::Gateway;

/// Delivers until a signal.
pub async fn run(cli: &Cli, arguments: &WorkArgs) -> Result<()> {
    let mut signals = TerminationSignals::new()?;
    let workers = arguments
        .workers
        .map(|workers| ("work.concurrency", workers.to_string()));
    let mut config = load_config(cli, workers.as_slice())?;
    if let Some(sender) = mock_worker::mock_sender(arguments, &Environment::from_process())? {
        config = mock_worker::with_mock_sender_only(config, sender, arguments.workers.unwrap_or(1))?;
    }
    let listener = arguments
        .listen
        .map(|at| bind_monitoring_listener(&config, at))
        .transpose()?;
    let gateway = Arc::new(Gateway::open(config).await?);
    log::info!(
        "working on store {}, queue {}",
        mask_url(&gateway.config.store_url),
        mask_url(&gateway.config.queue_url)
    );
    if gateway.is_test_mode() {
        log::warn!("this is a sandbox: mock providers only play, and nothing really leaves");
    }
    let mut crew = BackgroundTasks::new();
    crew.start_health_sync(&gateway);
    crew.start_fan_out(&gateway);
    crew.start_delivery(&gateway);
    let mut door = listener.map(|listener| HttpServer::start_monitoring_only(Arc::clone(&gateway), listener));
    print_line("working")?;
    let fault = tokio::select! {
        () = signals.recv() => None,
        error = crew.wait_for_failure() => Some(error),
        error = wait_for_server_failure(&mut door) => Some(error),
    };
    log::info!("stopping: what is in flight is finished");
    signals.abort_on_next(crew.stop()).await?;
    if let Some(door) = door {
        door.shut_down().await;
    }
    log::info!("stopped");
    fault.map_or(Ok(()), Err)
}

/// Machines are told no more than by `serve`: others than those of this host need a key.
fn bind_monitoring_listener(config: &Config, at: SocketAddr) -> Result<TcpListener> {
    check_listen_address(config, at)?;
    let listener = bind_listener(at)?;
    if let Ok(at) = listener.local_addr() {
        log::info!("metrics at http://{at}/metrics");
    }
    Ok(listener)
}

/// Waits until the door, if there is one, ends without having been told.
async fn wait_for_server_failure(door: &mut Option<HttpServer>) -> Error {
    match door {
        Some(door) => door.wait_for_failure().await,
        None => std::future::pending().await,
    }
}
