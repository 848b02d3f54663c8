//! `console serve`: HTTP server, worker pool, background tasks and schedule in one process.
//!
//! At a signal, requests and calls in flight may finish within `work.grace`, and the exit status is 0. If the HTTP server
//! or a background task stops unexpectedly, the process shuts down and exits with 1.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::http_server::{HttpServer, bind_listener, local_address};
use super::lifecycle::wait_until_stopped;
use super::signals::TerminationSignals;
use super::{ConfigOverride, TEST_MODE_NOTICE, load_config, print_line};
use crate::cli::{Cli, ServeArgs};
use postrider_core::address::preload_phone_metadata;
use postrider_core::error::Result;
use postrider_engine::background::BackgroundTasks;
use postrider_engine::config::{Config, check_listen_address, mask_url};
use postrider_engine::gateway::Gateway;

/// Serves until a signal.
pub async fn run(cli: &Cli, arguments: &ServeArgs) -> Result<()> {
    let mut signals = TerminationSignals::new()?;
    let mut config = load_config(cli, &config_overrides(arguments))?;
    check_listen_address(&config, config.listen)?;
    // Loads the tables of the phone number library, which the first message would otherwise wait for.
    std::thread::spawn(preload_phone_metadata);
    let listener = bind_listener(config.listen)?;
    resolve_listen_address(&mut config, &listener)?;
    let gateway = Arc::new(Gateway::open(config).await?);
    log_startup(&gateway);

    let mut tasks = BackgroundTasks::new();
    tasks.start_health_sync(&gateway);
    tasks.start_fan_out(&gateway);
    if arguments.concurrency != Some(0) {
        tasks.start_delivery(&gateway);
    }
    tasks.start_schedule(&gateway);
    let mut server = HttpServer::spawn(|stop| postrider_server::serve(Arc::clone(&gateway), listener, stop));
    print_line(format_args!("listening on http://{}", gateway.config.listen))?;

    let failure = wait_until_stopped(&mut signals, &mut tasks, Some(&mut server)).await;
    let shutdown = async { tokio::join!(server.shut_down(), tasks.stop()).1 };
    signals.abort_on_next(shutdown).await?;
    log::info!("stopped");
    failure.map_or(Ok(()), Err)
}

fn config_overrides(arguments: &ServeArgs) -> Vec<ConfigOverride> {
    let listen = arguments.listen.clone().map(|listen| ("listen", listen));
    let concurrency = arguments
        .concurrency
        .filter(|concurrency| *concurrency > 0)
        .map(|concurrency| ("work.concurrency", concurrency.to_string()));
    listen.into_iter().chain(concurrency).collect()
}

/// Replaces port 0 by the port that the kernel chose, also in the default public URL.
fn resolve_listen_address(config: &mut Config, listener: &TcpListener) -> Result<()> {
    let configured_address = std::mem::replace(&mut config.listen, local_address(listener)?);
    if config.public_url == format!("http://{configured_address}") {
        config.public_url = format!("http://{}", config.listen);
    }
    Ok(())
}

fn log_startup(gateway: &Gateway) {
    let config = &gateway.config;
    log::info!(
        "server started listen=http://{} store={} queue={} cache={}",
        config.listen,
        mask_url(&config.store_url),
        mask_url(&config.queue_url),
        mask_url(&config.cache_url)
    );
    if gateway.is_test_mode() {
        log::warn!("{TEST_MODE_NOTICE}");
    }
}

#[cfg(test)]
mod tests;
