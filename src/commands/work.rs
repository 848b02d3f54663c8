//! `console work`: delivers messages that other processes accept.
//!
//! A worker takes deliveries from the shared queue, or from the store when the queue is in memory, and stops as `serve`
//! does. With `--listen` it serves monitoring endpoints. With a mean time or failure rate it is a mock sender.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::http_server::{HttpServer, bind_listener, local_address};
use super::lifecycle::wait_until_stopped;
use super::signals::TerminationSignals;
use super::{TEST_MODE_NOTICE, load_config, print_line, systemd};
use crate::cli::{Cli, WorkArgs};
use crate::version::{COMMIT, COMMIT_DATE, VERSION};
use postrider_core::error::Result;
use postrider_engine::background::BackgroundTasks;
use postrider_engine::config::{Config, Environment, check_listen_address, mask_url};
use postrider_engine::gateway::Gateway;
use postrider_loadgen::mock_worker;

/// Delivers until a signal.
pub async fn run(cli: &Cli, arguments: &WorkArgs) -> Result<()> {
    let mut signals = TerminationSignals::new()?;
    let config = load_worker_config(cli, arguments)?;
    let listener = arguments.listen.map(|address| bind_monitoring_listener(&config, address)).transpose()?;
    let gateway = Arc::new(Gateway::open(config).await?);
    gateway.metrics.register_build_info(VERSION, COMMIT, COMMIT_DATE);
    log::info!(
        "worker started store={} queue={}",
        mask_url(&gateway.config.store_url),
        mask_url(&gateway.config.queue_url)
    );
    if gateway.is_test_mode() {
        log::warn!("{TEST_MODE_NOTICE}");
    }
    let mut tasks = BackgroundTasks::default();
    tasks.start_health_sync(&gateway);
    tasks.start_fan_out(&gateway);
    tasks.start_delivery(&gateway);
    let mut server = listener.map(|listener| {
        HttpServer::spawn(|stop| postrider_server::serve_monitoring(Arc::clone(&gateway), listener, stop))
    });
    systemd::notify_ready();
    print_line("worker started")?;
    let task_failure = wait_until_stopped(&mut signals, &mut tasks, server.as_mut()).await;
    signals.abort_on_next(tasks.stop()).await?;
    if let Some(server) = server {
        server.shut_down().await;
    }
    log::info!("stopped");
    task_failure.map_or(Ok(()), Err)
}

/// Loads the configuration. If the options or the environment set a mock sender, it replaces all providers.
fn load_worker_config(cli: &Cli, arguments: &WorkArgs) -> Result<Config> {
    let concurrency = arguments.concurrency.map(|concurrency| ("work.concurrency", concurrency.to_string()));
    let config = load_config(cli, concurrency.as_slice())?;
    let environment = Environment::from_process();
    match mock_worker::mock_sender(arguments.mean_time, arguments.failure_rate, &environment)? {
        Some(sender) => {
            mock_worker::with_mock_sender_only(config, sender, arguments.concurrency.unwrap_or(1))
        }
        None => Ok(config),
    }
}

/// Binds the listener for monitoring endpoints. On an address other than loopback, the endpoints need an API key, as in
/// `serve`.
fn bind_monitoring_listener(config: &Config, address: SocketAddr) -> Result<TcpListener> {
    check_listen_address(config, address)?;
    let listener = bind_listener(address)?;
    log::info!("metrics listener started url=http://{}/metrics", local_address(&listener)?);
    Ok(listener)
}
