//! `console check`: checks the configuration, the backends and the providers, and prints what to fix.
//!
//! A check continues after a problem, so that one run shows all problems. It sends no message and changes nothing.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::http_server::bind_listener;
use super::provider_health::is_gateway_running;
use super::{find_config_file, format_count, load_config, print_line, to_u64};
use crate::cli::Cli;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::config::{Config, ProviderConfig, check_listen_address, mask_url};
use postrider_engine::gateway;
use postrider_providers::{AccountCheck, CallbackMode, HttpClientPool};
use postrider_store::{DEFAULT_LOCK_TIMEOUT, pending_migrations};

/// Maximum time to check one backend.
const BACKEND_CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Key of the cache entry that is written and read back, and lifetime of the entry.
const CACHE_CHECK_KEY: &str = "postrider-check";
const CACHE_CHECK_TTL: Duration = Duration::from_secs(10);

/// Result of one check: a remark, which may be empty, or an error with the problem and its remedy. The kind of the
/// error is `Usage` if the configuration is wrong.
type CheckFinding = Result<String>;

/// Problems found so far.
#[derive(Default)]
struct Problems {
    count: u64,
    /// True if the configuration is wrong, so that the same problem would be found again until it is corrected.
    has_usage_error: bool,
}

/// Checks configuration, backends and providers; fails when one of them has a problem. The kind of the error is `Usage`
/// if the configuration is wrong.
pub async fn run(cli: &Cli) -> Result<()> {
    let mut problems = Problems::default();
    let title = match find_config_file(cli) {
        Some(config_file) => format!("configuration {}", config_file.display()),
        None => "configuration without a file".to_owned(),
    };
    match load_config(cli, &[]) {
        Err(error) => print_finding(&mut problems, &title, Err(error))?,
        Ok(config) => {
            print_finding(&mut problems, &title, Ok(test_mode_remark(&config)))?;
            check_backends(&config, &mut problems).await?;
            check_providers(&config, &mut problems).await?;
        }
    }
    if problems.count == 0 {
        return Ok(());
    }
    let error_kind = if problems.has_usage_error { ErrorKind::Usage } else { ErrorKind::Unavailable };
    Err(Error::new(error_kind, format!("{} found; see above", format_count(problems.count, "problem"))))
}

/// Prints the result of one check and counts a problem.
fn print_finding(problems: &mut Problems, title: &str, finding: CheckFinding) -> Result<()> {
    match finding {
        Ok(remark) if remark.is_empty() => print_line(format_args!("ok: {title}")),
        Ok(remark) => print_line(format_args!("ok: {title} ({remark})")),
        Err(check_problem) => {
            problems.count += 1;
            problems.has_usage_error |= check_problem.kind() == ErrorKind::Usage;
            print_line(format_args!("error: {title}: {check_problem}"))
        }
    }
}

fn test_mode_remark(config: &Config) -> String {
    if config.is_test_mode {
        "test mode: no provider is configured, mock providers are used".to_owned()
    } else {
        String::new()
    }
}

async fn check_backends(config: &Config, problems: &mut Problems) -> Result<()> {
    print_finding(problems, &format!("listener {}", config.listen), check_listener(config).await)?;
    let title = |backend: &str, url: &str| format!("{backend} {}", mask_url(url));
    let finding = with_timeout(check_store(config)).await;
    print_finding(problems, &title("store", &config.store_url), finding)?;
    if let Some(url) = &config.store_replica_url {
        let finding = with_timeout(check_replica(url)).await;
        print_finding(problems, &title("replica", url), finding)?;
    }
    let finding = with_timeout(check_queue(&config.queue_url, config.queue_window)).await;
    print_finding(problems, &title("queue", &config.queue_url), finding)?;
    let finding = with_timeout(check_cache(&config.cache_url)).await;
    print_finding(problems, &title("cache", &config.cache_url), finding)
}

async fn with_timeout(check: impl Future<Output = CheckFinding>) -> CheckFinding {
    timeout(BACKEND_CHECK_TIMEOUT, check).await.unwrap_or_else(|_| {
        let seconds = BACKEND_CHECK_TIMEOUT.as_secs();
        Err(unavailable(format!(
            "no response within {seconds} s; is it running, and is the address correct?"
        )))
    })
}

fn unavailable(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, problem)
}

/// Puts the causes of an error into its message.
fn with_causes(error: &Error) -> Error {
    Error::new(error.kind(), error.chain())
}

/// Checks that the listen address is allowed, and that this host can listen on it. A gateway that is already running on
/// the address is not a problem.
async fn check_listener(config: &Config) -> CheckFinding {
    check_listen_address(config, config.listen)?;
    match bind_listener(config.listen) {
        Ok(_) => Ok(String::new()),
        Err(_) if is_gateway_running(config).await => Ok("a gateway runs there".to_owned()),
        Err(error) => Err(error),
    }
}

async fn check_store(config: &Config) -> CheckFinding {
    let hint = if config.store_url.starts_with("postgres") {
        "is the server running, and are address, user and database correct?"
    } else {
        "does its folder exist, and may this user write to it?"
    };
    // The messages of other errors contain the remedy.
    let with_hint = |error: Error| match error.kind() {
        ErrorKind::Unavailable => unavailable(format!("{error}; {hint}")),
        _ => error,
    };
    let url = config.store_url.clone();
    // The work runs on a blocking thread, so that the time limit applies.
    let pending = tokio::task::spawn_blocking(move || pending_migrations(&url, DEFAULT_LOCK_TIMEOUT)).await;
    let pending = pending
        .map_err(|panic| {
            Error::with_source(ErrorKind::Internal, "opening failed with an internal error", panic)
        })?
        .map_err(with_hint)?;
    if !pending.is_empty() {
        let count = format_count(to_u64(pending.len()), "pending migration");
        return Ok(format!("reachable; {count}, applied by `console migrate` or the next start"));
    }
    let store = gateway::open_store(config).await.map_err(with_hint)?;
    match store.ping().await {
        Ok(()) => Ok("readable and writable".to_owned()),
        Err(error) => Err(unavailable(format!("{error}; free disk space, or grant this user write access"))),
    }
}

async fn check_replica(url: &str) -> CheckFinding {
    let checked = postrider_store::check_replica(url).await;
    checked.map(|()| "readable".to_owned())
}

async fn check_queue(url: &str, window: usize) -> CheckFinding {
    let queue = postrider_queue::open(url, window).await.map_err(|error| with_causes(&error))?;
    if let Some(queue_problem) = queue.problem().await {
        return Err(unavailable(queue_problem));
    }
    match queue.depth().await {
        Some(depth) => Ok(format!("{depth} entries")),
        None => Err(unavailable(
            "cannot connect; start it or correct queue.url (until then workers poll the store)",
        )),
    }
}

async fn check_cache(url: &str) -> CheckFinding {
    let cache = postrider_cache::open(url).map_err(|error| with_causes(&error))?;
    let written = b"checked";
    cache.set(CACHE_CHECK_KEY, written, CACHE_CHECK_TTL).await;
    match cache.get(CACHE_CHECK_KEY).await {
        Some(read) if read == written => Ok(String::new()),
        _ => Err(unavailable(
            "does not return a stored value; start it or correct cache.url (until then pages are read from the store)",
        )),
    }
}

async fn check_providers(config: &Config, problems: &mut Problems) -> Result<()> {
    let clients = HttpClientPool::new()?;
    for provider in &config.providers {
        let finding = check_provider(provider, &config.public_url, &clients).await;
        print_finding(problems, &format!("provider {} of kind {}", provider.name, provider.kind), finding)?;
        let Ok(adapter) = gateway::build_provider(provider, &config.public_url, "", &clients) else {
            continue;
        };
        if adapter.callback_mode() == CallbackMode::Unsigned {
            print_line(format_args!("warning: provider {}: {}", provider.name, gateway::UNSIGNED_RECEIPTS))?;
        }
        for warning in adapter.warnings() {
            print_line(format_args!("warning: provider {}: {warning}", provider.name))?;
        }
    }
    Ok(())
}

/// Reads the settings and checks the account, as far as this is possible without sending a message.
async fn check_provider(config: &ProviderConfig, public_url: &str, clients: &HttpClientPool) -> CheckFinding {
    let provider =
        gateway::build_provider(config, public_url, "", clients).map_err(|error| with_causes(&error))?;
    let (host, port) = provider.endpoint();
    if provider.is_mock() {
        return Ok("mock provider".to_owned());
    }
    let call_timeout = config.connect_timeout + config.timeout;
    match timeout(call_timeout, provider.check_account()).await {
        Ok(AccountCheck::Passed(remark)) => Ok(remark),
        Ok(AccountCheck::Failed(problem)) => Err(unavailable(problem)),
        Ok(AccountCheck::Untested(remark)) if port == 0 => Ok(remark),
        Ok(AccountCheck::Untested(remark)) => {
            let connected = connect_tcp(&host, port, config.connect_timeout).await?;
            Ok(format!("{connected}; {remark}"))
        }
        Err(_) => Err(unavailable(no_response_message(&host, port))),
    }
}

/// Connects to a provider, which reveals a wrong host or a closed port; sends nothing.
async fn connect_tcp(host: &str, port: u16, connect_timeout: Duration) -> CheckFinding {
    match timeout(connect_timeout, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(format!("{host}:{port} is reachable")),
        Ok(Err(cause)) => Err(unavailable(format!(
            "cannot connect to {host}:{port}: {cause}; is it running, and is the address correct?"
        ))),
        Err(_) => Err(unavailable(no_response_message(host, port))),
    }
}

fn no_response_message(host: &str, port: u16) -> String {
    format!(
        "no response from {host}:{port} in time; is the address correct, and does a firewall block the connection?"
    )
}
