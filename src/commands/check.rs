//! `console check`: reads the configuration, tries every edge, says what is wrong and what to do about it.
//!
//! Goes on after each fault, so that one run shows them all. Sends no message.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{find_config_file, format_count, load_config, print_line};
use crate::cli::Cli;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::config::{Config, ProviderConfig, check_listen_address, mask_url};
use postrider_engine::gateway;
use postrider_providers::{AccountCheck, CallbackMode, HttpClientPool};
use postrider_store::Store;

/// How long one edge may take to answer.
const BACKEND_CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The cache entry that is written and read back, and how long it may stay.
const CACHE_CHECK_KEY: &str = "postrider-check";
const CACHE_CHECK_TTL: Duration = Duration::from_secs(10);

/// What is wrong and what to do, in words; or what is worth saying although all is well.
type CheckFinding = Result<String, String>;

/// Checks everything; fails when anything is wrong.
pub async fn run(cli: &Cli) -> Result<()> {
    let mut faults = 0;
    let file = find_config_file(cli);
    let title = match &file {
        Some(file) => format!("configuration {}", file.display()),
        None => "configuration without a file".to_owned(),
    };
    match load_config(cli, &[]) {
        Err(error) => print_finding(&mut faults, &title, Err(error.to_string()))?,
        Ok(config) => {
            print_finding(&mut faults, &title, Ok(test_mode_remark(&config)))?;
            check_backends(&config, &mut faults).await?;
            check_providers(&config, &mut faults).await?;
        }
    }
    if faults == 0 {
        return Ok(());
    }
    let what = format_count(faults, "thing");
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("{what} to put right; see above"),
    ))
}

/// One line on stdout for one thing.
fn print_finding(faults: &mut u64, title: &str, finding: CheckFinding) -> Result<()> {
    match finding {
        Ok(remark) if remark.is_empty() => print_line(format_args!("ok: {title}")),
        Ok(remark) => print_line(format_args!("ok: {title} ({remark})")),
        Err(fault) => {
            *faults += 1;
            print_line(format_args!("wrong: {title}: {fault}"))
        }
    }
}

fn test_mode_remark(config: &Config) -> String {
    if config.is_test_mode {
        "a sandbox: no provider is configured, mocks stand in, nothing really leaves".to_owned()
    } else {
        String::new()
    }
}

async fn check_backends(config: &Config, faults: &mut u64) -> Result<()> {
    let door = check_listen_address(config, config.listen).map_err(|error| error.to_string());
    print_finding(
        faults,
        &format!("door {}", config.listen),
        door.map(|()| String::new()),
    )?;
    let title = |edge: &str, url: &str| format!("{edge} {}", mask_url(url));
    let finding = with_timeout(check_store(config)).await;
    print_finding(faults, &title("store", &config.store_url), finding)?;
    if let Some(url) = &config.store_replica_url {
        let finding = with_timeout(check_replica(url)).await;
        print_finding(faults, &title("replica", url), finding)?;
    }
    let finding = with_timeout(check_queue(&config.queue_url, config.queue_window)).await;
    print_finding(faults, &title("queue", &config.queue_url), finding)?;
    let finding = with_timeout(check_cache(&config.cache_url)).await;
    print_finding(faults, &title("cache", &config.cache_url), finding)
}

async fn with_timeout(checking: impl Future<Output = CheckFinding>) -> CheckFinding {
    timeout(BACKEND_CHECK_TIMEOUT, checking)
        .await
        .unwrap_or_else(|_| {
            let seconds = BACKEND_CHECK_TIMEOUT.as_secs();
            Err(format!(
                "no answer within {seconds} s; is it running, and is the address right?"
            ))
        })
}

async fn check_store(config: &Config) -> CheckFinding {
    let question = if config.store_url.starts_with("postgres") {
        "is the server running, and are its address, the user and the database right?"
    } else {
        "is its folder there, and may this user write to it?"
    };
    // Opening blocks, and would hold up the time limit together with everything else.
    let config = config.clone();
    let opened = tokio::task::spawn_blocking(move || open_unless_outdated(&config)).await;
    let opened = opened
        .map_err(|_| "opening it broke off, which is a defect".to_owned())?
        .map_err(|error| format!("{error}; {question}"))?;
    let store = match opened {
        Ok(store) => store,
        Err(missing) => {
            let steps = format_count(u64::try_from(missing.len()).unwrap_or(u64::MAX), "migration");
            return Ok(format!(
                "reachable; {steps} to come, applied by `console migrate` or the next start"
            ));
        }
    };
    match store.ping().await {
        Ok(()) => Ok("readable and writable".to_owned()),
        Err(error) => Err(format!(
            "{error}; make room, or give this user the right to write there"
        )),
    }
}

/// A store whose tables are those of this version, or the names of what would change them: a look changes nothing.
fn open_unless_outdated(config: &Config) -> Result<Result<Arc<dyn Store>, Vec<String>>> {
    let missing =
        postrider_store::pending_migrations(&config.store_url, postrider_store::DEFAULT_LOCK_TIMEOUT)?;
    if !missing.is_empty() {
        return Ok(Err(missing));
    }
    postrider_store::open_with(&gateway::store_location(config)).map(Ok)
}

async fn check_replica(url: &str) -> CheckFinding {
    let checked = postrider_store::check_replica(url).await;
    checked.map_err(|error| error.to_string())?;
    Ok("readable".to_owned())
}

async fn check_queue(url: &str, window: usize) -> CheckFinding {
    let queue = postrider_queue::open(url, window)
        .await
        .map_err(|error| error.chain())?;
    match queue.depth().await {
        Some(depth) => Ok(format!("{depth} waiting in it")),
        None => Err(
            "cannot be reached; start it or put queue.url right (until then workers ask the store)"
                .to_owned(),
        ),
    }
}

async fn check_cache(url: &str) -> CheckFinding {
    let cache = postrider_cache::open(url).map_err(|error| error.chain())?;
    let value = b"checked";
    cache.set(CACHE_CHECK_KEY, value, CACHE_CHECK_TTL).await;
    match cache.get(CACHE_CHECK_KEY).await {
        Some(found) if found == value => Ok(String::new()),
        _ => Err(
            "does not keep what it is given; start it or put cache.url right (until then pages come from the store)"
                .to_owned(),
        ),
    }
}

async fn check_providers(config: &Config, faults: &mut u64) -> Result<()> {
    let outbound = HttpClientPool::new()?;
    for provider in &config.providers {
        let finding = check_provider(provider, &config.public_url, &outbound).await;
        print_finding(
            faults,
            &format!("provider {} of kind {}", provider.name, provider.kind),
            finding,
        )?;
        let adapter = gateway::build_provider(provider, &config.public_url, "", &outbound);
        if adapter.is_ok_and(|adapter| adapter.callback_mode() == CallbackMode::Unsigned) {
            print_line(format_args!(
                "warning: provider {}: {}",
                provider.name,
                gateway::UNSIGNED_RECEIPTS
            ))?;
        }
    }
    Ok(())
}

/// Reads the settings and asks what can be asked without sending anything.
async fn check_provider(
    config: &ProviderConfig,
    public_url: &str,
    outbound: &HttpClientPool,
) -> CheckFinding {
    let provider =
        gateway::build_provider(config, public_url, "", outbound).map_err(|error| error.chain())?;
    let (host, port) = provider.endpoint();
    if provider.is_mock() {
        return Ok("only plays; nothing really leaves".to_owned());
    }
    let limit = config.connect_timeout + config.timeout;
    match timeout(limit, provider.check_account()).await {
        Ok(AccountCheck::Passed(shown)) => Ok(shown),
        Ok(AccountCheck::Failed(fault)) => Err(fault),
        Ok(AccountCheck::Untested(rest)) if port == 0 => Ok(rest),
        Ok(AccountCheck::Untested(rest)) => {
            let reached = connect_tcp(&host, port, config.connect_timeout).await?;
            Ok(format!("{reached}; {rest}"))
        }
        Err(_) => Err(no_answer_message(&host, port)),
    }
}

/// Connects, which shows a wrong host and a closed port; nothing is sent.
async fn connect_tcp(host: &str, port: u16, limit: Duration) -> CheckFinding {
    match timeout(limit, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(format!("{host}:{port} can be reached")),
        Ok(Err(cause)) => Err(format!(
            "cannot connect to {host}:{port}: {cause}; is it running, and is the address right?"
        )),
        Err(_) => Err(no_answer_message(host, port)),
    }
}

fn no_answer_message(host: &str, port: u16) -> String {
    format!("{host}:{port} does not answer in time; is the address right, and does a firewall let us out?")
}
