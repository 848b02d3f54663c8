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

use super::crew::Crew;
use super::signals::Signals;
use super::{Override, configuration, say};
use crate::cli::{Cli, Serve};
use crate::config::{Config, door_is_safe, masked_url};
use crate::domain::recipient;
use crate::error::{Error, Kind, Result};
use crate::flow::work::Stop;
use crate::gateway::Gateway;
use crate::http;

/// How many new connections the system holds for us while we are busy.
const BACKLOG: u32 = 4_096;

/// Serves until a signal.
pub async fn run(cli: &Cli, arguments: &Serve) -> Result<()> {
    let mut signals = Signals::new()?;
    let mut config = configuration(cli, &overrides(arguments))?;
    door_is_safe(&config, config.listen)?;
    warm_numbers();
    let listener = bind(config.listen)?;
    settle_address(&mut config, &listener)?;
    let gateway = Arc::new(Gateway::open(config).await?);
    announce(&gateway);

    let mut crew = Crew::new();
    crew.keep_in_step(&gateway);
    crew.spread(&gateway);
    if arguments.workers != Some(0) {
        crew.deliver(&gateway);
    }
    crew.keep_schedule(&gateway);
    let mut door = Door::open(Arc::clone(&gateway), listener);
    say(format_args!("listening on http://{}", gateway.config.listen))?;

    let fault = tokio::select! {
        () = signals.next() => None,
        error = door.fallen() => Some(error),
        error = crew.fallen() => Some(error),
    };
    log::info!("stopping: no new messages, what is in flight is finished");
    let ending = async { tokio::join!(door.close(), crew.stop()).1 };
    signals.unless_again(ending).await?;
    log::info!("stopped");
    fault.map_or(Ok(()), Err)
}

fn overrides(arguments: &Serve) -> Vec<Override> {
    let listen = arguments.listen.clone().map(|listen| ("listen", listen));
    let workers = arguments
        .workers
        .filter(|workers| *workers > 0)
        .map(|workers| ("work.concurrency", workers.to_string()));
    listen.into_iter().chain(workers).collect()
}

/// The phone number library reads its tables at the first number; nobody's message should wait for that.
fn warm_numbers() {
    std::thread::spawn(recipient::warm);
}

pub(super) fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
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
        Error::because(
            Kind::Unavailable,
            format!("cannot listen on {address}: {remedy}"),
            cause,
        )
    })
}

/// Port 0 asked for any free port: from here on everybody is told the one it became.
fn settle_address(config: &mut Config, listener: &TcpListener) -> Result<()> {
    let asked = std::mem::replace(
        &mut config.listen,
        listener
            .local_addr()
            .map_err(|cause| Error::because(Kind::Internal, "cannot tell where we listen", cause))?,
    );
    if config.public_url == format!("http://{asked}") {
        config.public_url = format!("http://{}", config.listen);
    }
    Ok(())
}

fn announce(gateway: &Gateway) {
    let config = &gateway.config;
    log::info!(
        "serving on http://{} with store {}, queue {}, cache {}",
        config.listen,
        masked_url(&config.store_url),
        masked_url(&config.queue_url),
        masked_url(&config.cache_url)
    );
    if gateway.is_sandbox() {
        log::warn!("this is a sandbox: mock providers only play, and nothing really leaves");
    }
}

/// The HTTP task with the word that closes it.
pub(super) struct Door {
    close: watch::Sender<bool>,
    task: Option<JoinHandle<Result<()>>>,
}

impl Door {
    fn open(gateway: Arc<Gateway>, listener: TcpListener) -> Self {
        Self::begin(|told| http::serve(gateway, listener, told))
    }

    /// A door for machines only, which takes no messages.
    pub(super) fn open_to_machines(gateway: Arc<Gateway>, listener: TcpListener) -> Self {
        Self::begin(|told| http::serve_machines(gateway, listener, told))
    }

    fn begin<F>(answering: impl FnOnce(Stop) -> F) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (close, told) = watch::channel(false);
        let task = Some(tokio::spawn(answering(told)));
        Self { close, task }
    }

    /// Waits until it ends without having been told, which it never should.
    pub(super) async fn fallen(&mut self) -> Error {
        let Some(task) = &mut self.task else {
            return std::future::pending().await;
        };
        let ended = task.await;
        self.task = None;
        match ended {
            Ok(Ok(())) => Error::new(Kind::Internal, "the door closed by itself"),
            Ok(Err(error)) => error,
            Err(panic) => Error::because(Kind::Internal, "the door closed by itself", panic),
        }
    }

    /// Takes nothing new and waits for requests in flight, which the door gives `work.grace` and no more.
    pub(super) async fn close(mut self) {
        self.close.send_replace(true);
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
        let first = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address).unwrap_err().to_string();
        assert!(
            error.contains(&address.to_string()) && error.contains("--listen"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_free_port_is_told_to_providers_too() {
        let mut config = Config::sandbox();
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.public_url = "http://127.0.0.1:0".to_owned();
        let listener = bind(config.listen).unwrap();
        settle_address(&mut config, &listener).unwrap();
        assert_ne!(config.listen.port(), 0);
        assert_eq!(config.public_url, format!("http://{}", config.listen));
    }

    #[tokio::test]
    async fn a_configured_public_url_stays() {
        let mut config = Config::sandbox();
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.public_url = "https://sms.example.org".to_owned();
        let listener = bind(config.listen).unwrap();
        settle_address(&mut config, &listener).unwrap();
        assert_eq!(config.public_url, "https://sms.example.org");
    }

    fn door(task: impl Future<Output = Result<()>> + Send + 'static) -> Door {
        Door {
            close: watch::Sender::new(false),
            task: Some(tokio::spawn(task)),
        }
    }

    #[tokio::test]
    async fn a_door_that_ends_by_itself_is_a_failure_however_it_ends() {
        let quiet = door(async { Ok(()) }).fallen().await;
        assert_eq!(quiet.to_string(), "the door closed by itself");
        let mut failed = door(async { Err(Error::new(Kind::Unavailable, "no file handles left")) });
        assert_eq!(failed.fallen().await.to_string(), "no file handles left");
        let mut crashed = door(async { panic!("a defect") });
        assert_eq!(crashed.fallen().await.kind(), Kind::Internal);
        crashed.close().await;
    }

    #[test]
    fn no_workers_is_not_a_number_of_workers() {
        let with = |workers| {
            overrides(&Serve {
                listen: None,
                workers,
            })
        };
        assert_eq!(with(Some(0)), []);
        assert_eq!(with(Some(7)), [("work.concurrency", "7".to_owned())]);
    }
}
