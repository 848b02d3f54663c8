//! `console serve`: the door, the workers, the listeners and the schedule in one process.
//!
//! Ends with 0 after a signal, when what was in flight is finished, requests and calls alike: both have as long as
//! `work.grace` from the same moment on. Never lives on without its door: if that ends by itself, the process ends
//! with 1.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::background::BackgroundTasks;
use super::signals::TerminationSignals;
use super::{ConfigOverride, load_config, print_line};
use crate::cli::{Cli, ServeArgs};
use postrider_core::address;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::config::{Config, check_listen_address, mask_url};
use postrider_engine::gateway::Gateway;
use postrider_engine::stop::StopSignal;

/// How many new connections the system holds for us while we are busy.
const LISTEN_BACKLOG: u32 = 4_096;

/// Serves until a signal.
pub async fn run(cli: &Cli, arguments: &ServeArgs) -> Result<()> {
    let mut signals = TerminationSignals::new()?;
    let mut config = load_config(cli, &overrides(arguments))?;
    check_listen_address(&config, config.listen)?;
    preload_phone_metadata();
    let listener = bind_listener(config.listen)?;
    resolve_listen_address(&mut config, &listener)?;
    let gateway = Arc::new(Gateway::open(config).await?);
    log_startup(&gateway);

    let mut crew = BackgroundTasks::new();
    crew.start_health_sync(&gateway);
    crew.start_fan_out(&gateway);
    if arguments.workers != Some(0) {
        crew.start_delivery(&gateway);
    }
    crew.start_schedule(&gateway);
    let mut door = HttpServer::start(Arc::clone(&gateway), listener);
    print_line(format_args!("listening on http://{}", gateway.config.listen))?;

    let fault = tokio::select! {
        () = signals.recv() => None,
        error = door.wait_for_failure() => Some(error),
        error = crew.wait_for_failure() => Some(error),
    };
    log::info!("stopping: no new messages, what is in flight is finished");
    let ending = async { tokio::join!(door.shut_down(), crew.stop()).1 };
    signals.abort_on_next(ending).await?;
    log::info!("stopped");
    fault.map_or(Ok(()), Err)
}

fn overrides(arguments: &ServeArgs) -> Vec<ConfigOverride> {
    let listen = arguments.listen.clone().map(|listen| ("listen", listen));
    let workers = arguments
        .workers
        .filter(|workers| *workers > 0)
        .map(|workers| ("work.concurrency", workers.to_string()));
    listen.into_iter().chain(workers).collect()
}

/// The phone number library reads its tables at the first number; nobody's message should wait for that.
fn preload_phone_metadata() {
    std::thread::spawn(address::preload_phone_metadata);
}

pub(super) fn bind_listener(address: SocketAddr) -> Result<TcpListener> {
    let listener = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(LISTEN_BACKLOG)
    };
    listener().map_err(|cause| {
        let remedy = match cause.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program listens there; stop it, or choose another address with --listen"
            }
            std::io::ErrorKind::AddrNotAvailable => "this machine has no such address; see --listen",
            std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege; choose another with --listen"
            }
            _ => "choose another address with --listen",
        };
        Error::with_source(
            ErrorKind::Unavailable,
            format!("cannot listen on {address}: {remedy}"),
            cause,
        )
    })
}

/// Port 0 asked for any free port: from here on everybody is told the one it became.
fn resolve_listen_address(config: &mut Config, listener: &TcpListener) -> Result<()> {
    let asked = std::mem::replace(
        &mut config.listen,
        listener
            .local_addr()
            .map_err(|cause| Error::with_source(ErrorKind::Internal, "cannot tell where we listen", cause))?,
    );
    if config.public_url == format!("http://{asked}") {
        config.public_url = format!("http://{}", config.listen);
    }
    Ok(())
}

fn log_startup(gateway: &Gateway) {
    let config = &gateway.config;
    log::info!(
        "serving on http://{} with store {}, queue {}, cache {}",
        config.listen,
        mask_url(&config.store_url),
        mask_url(&config.queue_url),
        mask_url(&config.cache_url)
    );
    if gateway.is_test_mode() {
        log::warn!("this is a sandbox: mock providers only play, and nothing really leaves");
    }
}

/// The HTTP task with the word that closes it.
pub(super) struct HttpServer {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<Result<()>>>,
}

impl HttpServer {
    fn start(gateway: Arc<Gateway>, listener: TcpListener) -> Self {
        Self::spawn(|told| postrider_server::serve(gateway, listener, told))
    }

    /// A door for machines only, which takes no messages.
    pub(super) fn start_monitoring_only(gateway: Arc<Gateway>, listener: TcpListener) -> Self {
        Self::spawn(|told| postrider_server::serve_monitoring(gateway, listener, told))
    }

    fn spawn<F>(answering: impl FnOnce(StopSignal) -> F) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (close, told) = watch::channel(false);
        let task = Some(tokio::spawn(answering(told)));
        Self { stop: close, task }
    }

    /// Waits until it ends without having been told, which it never should.
    pub(super) async fn wait_for_failure(&mut self) -> Error {
        let Some(task) = &mut self.task else {
            return std::future::pending().await;
        };
        let ended = task.await;
        self.task = None;
        match ended {
            Ok(Ok(())) => Error::new(ErrorKind::Internal, "the door closed by itself"),
            Ok(Err(error)) => error,
            Err(panic) => Error::with_source(ErrorKind::Internal, "the door closed by itself", panic),
        }
    }

    /// Takes nothing new and waits for requests in flight, which the door gives `work.grace` and no more.
    pub(super) async fn shut_down(mut self) {
        self.stop.send_replace(true);
        let Some(task) = self.task.take() else {
            return;
        };
        match task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::error!("the door did not close well: {}", error.chain()),
            Err(panic) => log::error!("the door did not close well: {panic}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_a_remedy() {
        let first = bind_listener(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind_listener(address).unwrap_err().to_string();
        assert!(
            error.contains(&address.to_string()) && error.contains("--listen"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_free_port_is_told_to_providers_too() {
        let mut config = Config::test_mode();
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.public_url = "http://127.0.0.1:0".to_owned();
        let listener = bind_listener(config.listen).unwrap();
        resolve_listen_address(&mut config, &listener).unwrap();
        assert_ne!(config.listen.port(), 0);
        assert_eq!(config.public_url, format!("http://{}", config.listen));
    }

    #[tokio::test]
    async fn a_configured_public_url_stays() {
        let mut config = Config::test_mode();
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.public_url = "https://sms.example.org".to_owned();
        let listener = bind_listener(config.listen).unwrap();
        resolve_listen_address(&mut config, &listener).unwrap();
        assert_eq!(config.public_url, "https://sms.example.org");
    }

    fn http_server(task: impl Future<Output = Result<()>> + Send + 'static) -> HttpServer {
        HttpServer {
            stop: watch::Sender::new(false),
            task: Some(tokio::spawn(task)),
        }
    }

    #[tokio::test]
    async fn a_door_that_ends_by_itself_is_a_failure_however_it_ends() {
        let quiet = http_server(async { Ok(()) }).wait_for_failure().await;
        assert_eq!(quiet.to_string(), "the door closed by itself");
        let mut failed =
            http_server(async { Err(Error::new(ErrorKind::Unavailable, "no file handles left")) });
        assert_eq!(
            failed.wait_for_failure().await.to_string(),
            "no file handles left"
        );
        let mut crashed = http_server(async { panic!("a defect") });
        assert_eq!(crashed.wait_for_failure().await.kind(), ErrorKind::Internal);
        crashed.shut_down().await;
    }

    #[test]
    fn no_workers_is_not_a_number_of_workers() {
        let with = |workers| {
            overrides(&ServeArgs {
                listen: None,
                workers,
            })
        };
        assert_eq!(with(Some(0)), []);
        assert_eq!(with(Some(7)), [("work.concurrency", "7".to_owned())]);
    }
}
