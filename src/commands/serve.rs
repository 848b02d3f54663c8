//! `console serve`: HTTP server, worker pool, background tasks and schedule in one process.
//!
//! At a signal, requests and calls in flight may finish within `work.grace`, and the exit status is 0. If the HTTP server
//! or a background task stops unexpectedly, the process shuts down and exits with 1. SIGHUP reloads API keys, secrets of
//! providers and the log settings; other changes need a restart.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use super::http_server::{HttpServer, bind_listener, local_address};
use super::lifecycle::wait_until_stopped;
use super::signals::{ReloadSignal, TerminationSignals};
use super::{ConfigOverride, TEST_MODE_NOTICE, load_config, print_line, systemd};
use crate::cli::{Cli, ServeArgs};
use crate::version::{COMMIT, COMMIT_DATE, VERSION};
use postrider_core::address::preload_phone_metadata;
use postrider_core::error::Result;
use postrider_engine::background::BackgroundTasks;
use postrider_engine::config::{Config, check_listen_address, mask_url};
use postrider_engine::gateway::Gateway;

/// Serves until a signal.
pub async fn run(cli: &Cli, arguments: &ServeArgs) -> Result<()> {
    let (mut signals, mut reload_signal) = TerminationSignals::with_reload()?;
    let mut config = load_config(cli, &config_overrides(arguments))?;
    let passed_listener = systemd::passed_listener()?;
    if let Some(listener) = &passed_listener {
        set_listen_address(&mut config, local_address(listener)?);
    }
    check_listen_address(&config, config.listen)?;
    // Loads the tables of the phone number library now; otherwise the first message would wait for them.
    std::thread::spawn(preload_phone_metadata);
    let listener = passed_listener.map_or_else(|| bind_listener(config.listen), Ok)?;
    set_listen_address(&mut config, local_address(&listener)?);
    let gateway = Arc::new(Gateway::open(config).await?);
    gateway.metrics.register_build_info(VERSION, COMMIT, COMMIT_DATE);
    log_startup(&gateway);

    let mut tasks = BackgroundTasks::default();
    tasks.start_health_sync(&gateway);
    tasks.start_fan_out(&gateway);
    if arguments.concurrency != Some(0) {
        tasks.start_delivery(&gateway);
    }
    tasks.start_schedule(&gateway);
    let mut server = HttpServer::spawn(|stop| postrider_server::serve(Arc::clone(&gateway), listener, stop));
    systemd::notify_ready();
    print_line(format_args!("listening on http://{}", gateway.config.listen))?;

    let task_failure = tokio::select! {
        task_failure = wait_until_stopped(&mut signals, &mut tasks, Some(&mut server)) => task_failure,
        never = reload_at_signal(cli, arguments, &gateway, &mut reload_signal) => match never {},
    };
    let shutdown = async { tokio::join!(server.shut_down(), tasks.stop()).1 };
    signals.abort_on_next(shutdown).await?;
    log::info!("stopped");
    task_failure.map_or(Ok(()), Err)
}

fn config_overrides(arguments: &ServeArgs) -> Vec<ConfigOverride> {
    let listen = arguments.listen.clone().map(|listen| ("listen", listen));
    let concurrency = arguments
        .concurrency
        .filter(|concurrency| *concurrency > 0)
        .map(|concurrency| ("work.concurrency", concurrency.to_string()));
    listen.into_iter().chain(concurrency).collect()
}

/// Reloads the configuration at every SIGHUP.
async fn reload_at_signal(
    cli: &Cli,
    arguments: &ServeArgs,
    gateway: &Gateway,
    reload_signal: &mut ReloadSignal,
) -> Infallible {
    loop {
        reload_signal.recv().await;
        systemd::notify_reloading();
        let reload = || {
            let mut config = load_config(cli, &config_overrides(arguments))?;
            set_listen_address(&mut config, gateway.config.listen);
            gateway.reload(&config)
        };
        match reload() {
            Ok(result) => log::info!("configuration reloaded: {result}"),
            Err(error) => log::error!("cannot reload, the running configuration stays: error={error}"),
        }
        systemd::notify_ready();
    }
}

/// Replaces the configured address by the address of the listener, also in the default public URL. The two differ if
/// the port is 0 (the kernel chooses a port), or if the service manager passed the listener.
fn set_listen_address(config: &mut Config, actual: SocketAddr) {
    let configured_address = std::mem::replace(&mut config.listen, actual);
    if config.public_url == format!("http://{configured_address}") {
        config.public_url = format!("http://{actual}");
    }
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
