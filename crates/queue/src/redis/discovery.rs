//! Finds the one server to speak to: the only one, a cluster's owner of our slot, or the sentinels' master.
//!
//! Asked anew for every connection, because it may have moved. A host that does not answer costs one time limit,
//! then the next one is asked.

use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisError, RedisResult};
use tokio::time::timeout;

use super::connection::COMMAND_TIMEOUT;
use super::url::{RedisUrl, Topology, with_host};

impl RedisUrl {
    /// The server that holds our names now; `key` is one of them.
    pub async fn find_server(&self, key: &str) -> Result<Client, String> {
        let mut trouble = String::from("the url names no host");
        for host in &self.hosts {
            let found = match &self.topology {
                Topology::Standalone => Ok(Ok(host.clone())),
                Topology::Cluster => timeout(COMMAND_TIMEOUT, cluster_slot_owner(host, key)).await,
                Topology::Sentinels {
                    master,
                    credentials: sign_in,
                } => {
                    let sentinel = host.clone().set_redis_settings(sign_in.clone());
                    timeout(COMMAND_TIMEOUT, sentinel_master(host, sentinel, master)).await
                }
            };
            trouble = match found {
                Ok(Ok(server)) => return Client::open(server).map_err(|refusal| refusal.to_string()),
                Ok(Err(refusal)) => refusal.to_string(),
                Err(_) => "no answer within the time limit".to_owned(),
            };
        }
        Err(trouble)
    }
}

/// Every member of a cluster says by a redirection who owns a name.
async fn cluster_slot_owner(member: &ConnectionInfo, key: &str) -> RedisResult<ConnectionInfo> {
    let asked = query_host::<i64>(member.clone(), redis::cmd("SCARD").arg(key)).await;
    match asked {
        Ok(_) => Ok(member.clone()),
        Err(answer) => redirected_host(member, &answer).ok_or(answer),
    }
}

fn redirected_host(member: &ConnectionInfo, answer: &RedisError) -> Option<ConnectionInfo> {
    let (place, _slot) = answer
        .redirect_node()
        .filter(|_| answer.code() == Some("MOVED"))?;
    let (host, port) = place.rsplit_once(':')?;
    Some(with_host(
        member,
        host.trim_matches(['[', ']']),
        port.parse().ok()?,
    ))
}

async fn sentinel_master(
    host: &ConnectionInfo,
    sentinel: ConnectionInfo,
    master: &str,
) -> RedisResult<ConnectionInfo> {
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let known = query_host::<Option<(String, u16)>>(sentinel, &question).await?;
    let unknown = || RedisError::from((redis::ErrorKind::Client, "the sentinels know no such master"));
    let (name, port) = known.ok_or_else(unknown)?;
    Ok(with_host(host, &name, port))
}

async fn query_host<T: redis::FromRedisValue>(host: ConnectionInfo, question: &redis::Cmd) -> RedisResult<T> {
    let settings = AsyncConnectionConfig::new().set_connection_timeout(Some(COMMAND_TIMEOUT));
    let mut connection = Client::open(host)?
        .get_multiplexed_async_connection_with_config(&settings)
        .await?;
    question.query_async(&mut connection).await
}
