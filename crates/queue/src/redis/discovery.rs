//! Finds the server to connect to: the only one, the owner of the queue's slot in a cluster, or the sentinels' master.
//!
//! The search is repeated for every connection, because the server may have moved. A host that does not answer delays
//! it by one time limit; then the next host is tried.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisError, RedisResult};
use tokio::time::timeout;

use super::url::{RedisUrl, Topology, with_host};

/// Time limit of one command and of one connection attempt.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// The error of a server that exceeds a time limit.
pub(super) const NO_ANSWER: &str = "no answer within the time limit";

/// Returns a client for the server that holds `key` now.
pub(super) async fn find_server(url: &RedisUrl, key: &str) -> Result<Client, String> {
    let mut error = String::from("the url names no host");
    for host in &url.hosts {
        let lookup = match &url.topology {
            Topology::Standalone => Ok(Ok(host.clone())),
            Topology::Cluster => timeout(COMMAND_TIMEOUT, cluster_slot_owner(host, key)).await,
            Topology::Sentinels { master, credentials } => {
                let sentinel = host.clone().set_redis_settings(credentials.clone());
                timeout(COMMAND_TIMEOUT, sentinel_master(host, sentinel, master)).await
            }
        };
        error = match lookup {
            Ok(Ok(server)) => return Client::open(server).map_err(|error| error.to_string()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => NO_ANSWER.to_owned(),
        };
    }
    Err(error)
}

/// Finds the owner of a key in a cluster. Each member of the cluster redirects a command to the owner of its key.
async fn cluster_slot_owner(member: &ConnectionInfo, key: &str) -> RedisResult<ConnectionInfo> {
    match query_host::<i64>(member.clone(), redis::cmd("SCARD").arg(key)).await {
        Ok(_) => Ok(member.clone()),
        Err(error) => redirected_host(member, &error).ok_or(error),
    }
}

fn redirected_host(member: &ConnectionInfo, error: &RedisError) -> Option<ConnectionInfo> {
    let (address, _slot) = error.redirect_node().filter(|_| error.code() == Some("MOVED"))?;
    let (host, port) = address.rsplit_once(':')?;
    Some(with_host(member, Some(host.trim_matches(['[', ']'])), port.parse().ok()?))
}

/// Queries a sentinel for the current master. `host` contains the settings for the master, `sentinel` those for the
/// sentinel.
async fn sentinel_master(
    host: &ConnectionInfo,
    sentinel: ConnectionInfo,
    master_name: &str,
) -> RedisResult<ConnectionInfo> {
    let mut sentinel_command = redis::cmd("SENTINEL");
    sentinel_command.arg("GET-MASTER-ADDR-BY-NAME").arg(master_name);
    let master_address = query_host::<Option<(String, u16)>>(sentinel, &sentinel_command).await?;
    let unknown_master = || RedisError::from((redis::ErrorKind::Client, "the sentinels know no such master"));
    let (master_host, port) = master_address.ok_or_else(unknown_master)?;
    Ok(with_host(host, Some(&master_host), port))
}

async fn query_host<T: redis::FromRedisValue>(host: ConnectionInfo, command: &redis::Cmd) -> RedisResult<T> {
    let settings = AsyncConnectionConfig::new().set_connection_timeout(Some(COMMAND_TIMEOUT));
    let mut connection = Client::open(host)?.get_multiplexed_async_connection_with_config(&settings).await?;
    command.query_async(&mut connection).await
}
