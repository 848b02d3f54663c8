//! `console check`: reads the configuration, tries every edge, says what is wrong and what to do about it.
//!
//! Goes on after each fault, so that one run shows them all. Sends no message.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{configuration, configuration_file, counted, say};
use crate::cli::Cli;
use crate::config::{Config, ProviderConfig, door_is_safe, masked_url};
use crate::error::{Error, Kind, Result};
use crate::gateway;
use crate::provider::{Callbacks, Checked, Outbound};
use crate::store::Store;
use crate::{cache, queue, store};

/// How long one edge may take to answer.
const EDGE_TIME_LIMIT: Duration = Duration::from_secs(5);

/// The cache entry that is written and read back, and how long it may stay.
const CACHE_KEY: &str = "postrider-check";
const CACHE_KEEP: Duration = Duration::from_secs(10);

/// What is wrong and what to do, in words; or what is worth saying although all is well.
type Finding = Result<String, String>;

/// Checks everything; fails when anything is wrong.
pub async fn run(cli: &Cli) -> Result<()> {
    let mut faults = 0;
    let file = configuration_file(cli);
    let title = match &file {
        Some(file) => format!("configuration {}", file.display()),
        None => "configuration without a file".to_owned(),
    };
    match configuration(cli, &[]) {
        Err(error) => tell(&mut faults, &title, Err(error.to_string()))?,
        Ok(config) => {
            tell(&mut faults, &title, Ok(sandbox(&config)))?;
            check_edges(&config, &mut faults).await?;
            check_providers(&config, &mut faults).await?;
        }
    }
    if faults == 0 {
        return Ok(());
    }
    let what = counted(faults, "thing");
    Err(Error::new(
        Kind::Unavailable,
        format!("{what} to put right; see above"),
    ))
}

/// One line on stdout for one thing.
fn tell(faults: &mut u64, title: &str, finding: Finding) -> Result<()> {
    match finding {
        Ok(remark) if remark.is_empty() => say(format_args!("ok: {title}")),
        Ok(remark) => say(format_args!("ok: {title} ({remark})")),
        Err(fault) => {
            *faults += 1;
            say(format_args!("wrong: {title}: {fault}"))
        }
    }
}

fn sandbox(config: &Config) -> String {
    if config.sandbox {
        "a sandbox: no provider is configured, mocks stand in, nothing really leaves".to_owned()
    } else {
        String::new()
    }
}

async fn check_edges(config: &Config, faults: &mut u64) -> Result<()> {
    let door = door_is_safe(config, config.listen).map_err(|error| error.to_string());
    tell(
        faults,
        &format!("door {}", config.listen),
        door.map(|()| String::new()),
    )?;
    let title = |edge: &str, url: &str| format!("{edge} {}", masked_url(url));
    let finding = in_time(check_store(config)).await;
    tell(faults, &title("store", &config.store_url), finding)?;
    if let Some(url) = &config.store_replica_url {
        let finding = in_time(check_replica(url)).await;
        tell(faults, &title("replica", url), finding)?;
    }
    let finding = in_time(check_queue(&config.queue_url, config.queue_window)).await;
    tell(faults, &title("queue", &config.queue_url), finding)?;
    let finding = in_time(check_cache(&config.cache_url)).await;
    tell(faults, &title("cache", &config.cache_url), finding)
}

async fn in_time(checking: impl Future<Output = Finding>) -> Finding {
    timeout(EDGE_TIME_LIMIT, checking).await.unwrap_or_else(|_| {
        let seconds = EDGE_TIME_LIMIT.as_secs();
        Err(format!(
            "no answer within {seconds} s; is it running, and is the address right?"
        ))
    })
}

async fn check_store(config: &Config) -> Finding {
    let question = if config.store_url.starts_with("postgres") {
        "is the server running, and are its address, the user and the database right?"
    } else {
        "is its folder there, and may this user write to it?"
    };
    // Opening blocks, and would hold up the time limit together with everything else.
    let config = config.clone();
    let opened = tokio::task::spawn_blocking(move || open_if_current(&config)).await;
    let opened = opened
        .map_err(|_| "opening it broke off, which is a defect".to_owned())?
        .map_err(|error| format!("{error}; {question}"))?;
    let store = match opened {
        Ok(store) => store,
        Err(missing) => {
            let steps = counted(u64::try_from(missing.len()).unwrap_or(u64::MAX), "migration");
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
fn open_if_current(config: &Config) -> Result<Result<Arc<dyn Store>, Vec<String>>> {
    let missing = store::missing(&config.store_url, store::LOCK_WAIT)?;
    if !missing.is_empty() {
        return Ok(Err(missing));
    }
    store::open_at(&gateway::store_place(config)).map(Ok)
}

async fn check_replica(url: &str) -> Finding {
    let checked = store::check_replica(url).await;
    checked.map_err(|error| error.to_string())?;
    Ok("readable".to_owned())
}

async fn check_queue(url: &str, window: usize) -> Finding {
    let queue = queue::open(url, window).await.map_err(|error| error.chain())?;
    match queue.depth().await {
        Some(depth) => Ok(format!("{depth} waiting in it")),
        None => Err(
            "cannot be reached; start it or put queue.url right (until then workers ask the store)"
                .to_owned(),
        ),
    }
}

async fn check_cache(url: &str) -> Finding {
    let cache = cache::open(url).map_err(|error| error.chain())?;
    let value = b"checked";
    cache.set(CACHE_KEY, value, CACHE_KEEP).await;
    match cache.get(CACHE_KEY).await {
        Some(found) if found == value => Ok(String::new()),
        _ => Err(
            "does not keep what it is given; start it or put cache.url right (until then pages come from the store)"
                .to_owned(),
        ),
    }
}

async fn check_providers(config: &Config, faults: &mut u64) -> Result<()> {
    let outbound = Outbound::new()?;
    for provider in &config.providers {
        let finding = check_provider(provider, &config.public_url, &outbound).await;
        tell(
            faults,
            &format!("provider {} of kind {}", provider.name, provider.kind),
            finding,
        )?;
        let adapter = gateway::build(provider, &config.public_url, "", &outbound);
        if adapter.is_ok_and(|adapter| adapter.callbacks() == Callbacks::Unsigned) {
            say(format_args!(
                "warning: provider {}: {}",
                provider.name,
                gateway::UNSIGNED_RECEIPTS
            ))?;
        }
    }
    Ok(())
}

/// Reads the settings and asks what can be asked without sending anything.
async fn check_provider(config: &ProviderConfig, public_url: &str, outbound: &Outbound) -> Finding {
    let provider = gateway::build(config, public_url, "", outbound).map_err(|error| error.chain())?;
    let (host, port) = provider.place();
    if provider.is_sandbox() {
        return Ok("only plays; nothing really leaves".to_owned());
    }
    let limit = config.connect_timeout + config.timeout;
    match timeout(limit, provider.check()).await {
        Ok(Checked::Well(shown)) => Ok(shown),
        Ok(Checked::Wrong(fault)) => Err(fault),
        Ok(Checked::Untested(rest)) if port == 0 => Ok(rest),
        Ok(Checked::Untested(rest)) => {
            let reached = reach(&host, port, config.connect_timeout).await?;
            Ok(format!("{reached}; {rest}"))
        }
        Err(_) => Err(silent(&host, port)),
    }
}

/// Connects, which shows a wrong host and a closed port; nothing is sent.
async fn reach(host: &str, port: u16, limit: Duration) -> Finding {
    match timeout(limit, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(format!("{host}:{port} can be reached")),
        Ok(Err(cause)) => Err(format!(
            "cannot connect to {host}:{port}: {cause}; is it running, and is the address right?"
        )),
        Err(_) => Err(silent(host, port)),
    }
}

fn silent(host: &str, port: u16) -> String {
    format!("{host}:{port} does not answer in time; is the address right, and does a firewall let us out?")
}
