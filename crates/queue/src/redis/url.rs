//! What a queue's URL says: which servers, how they stand together, and how to speak to them.
//!
//! Several hosts are a cluster or sentinels. Everything a queue owns lies in one slot, so of a cluster, too, one
//! server is enough, and finding it is all that is special. The URL, which may carry a password, is never
//! repeated in an error.

use std::collections::HashMap;

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, TlsCertificates,
};

use postrider_core::error::{Error, Result};

/// What stands before every name in Redis unless `?prefix=` says otherwise.
const DEFAULT_PREFIX: &str = "postrider:";

/// Where sentinels listen unless the URL says otherwise.
const DEFAULT_SENTINEL_PORT: u16 = 26_379;

/// Whom to ask, and for what.
pub(super) struct RedisUrl {
    /// How to reach each host of the URL, at least one.
    pub hosts: Vec<ConnectionInfo>,
    /// How they stand together.
    pub topology: Topology,
    /// What every name of ours begins with.
    pub prefix: String,
}

/// How the hosts of an URL stand together.
pub(super) enum Topology {
    /// One server.
    Standalone,
    /// Any of them knows who holds our names.
    Cluster,
    /// The hosts are sentinels, who know where their master is.
    Sentinels {
        /// What they call it.
        master: String,
        /// How to sign in to the sentinels themselves.
        credentials: RedisConnectionInfo,
    },
}

impl RedisUrl {
    /// Reads an URL and the certificates it names; reaches nobody yet.
    pub fn parse(url: &str) -> Result<Self> {
        if url.contains('#') {
            return Err(invalid_url("an url ends before #"));
        }
        let (body, query) = url.split_once('?').unwrap_or((url, ""));
        let query = UrlQuery::parse(query);
        let (scheme, rest) = body.split_once("://").unwrap_or((body, ""));
        let (name, kind) = scheme.split_once(['+', '-']).unwrap_or((scheme, ""));
        if kind == "unix" || name.starts_with("unix:") || name == "unix" {
            return Ok(Self {
                hosts: vec![connection_info(url)?],
                prefix: query.prefix(&Topology::Standalone),
                topology: Topology::Standalone,
            });
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let start = authority.rfind('@').map_or(0, |at| at + 1);
        let (user, hosts) = authority.split_at(start);
        let (formation, path) = parse_topology(kind, path, &query)?;
        let alone = matches!(formation, Topology::Standalone);
        if alone && hosts.contains(',') {
            return Err(invalid_url(
                "several hosts are a redis-cluster:// or the sentinels of a redis+sentinel://",
            ));
        }
        let hosts = hosts.split(',').map(|host| {
            let one = connection_info(&format!("{name}://{user}{host}/{path}"))?;
            let one = query.with_certificates(one)?;
            Ok(match formation {
                Topology::Sentinels { .. } if !has_port(host) => with_host(&one, "", DEFAULT_SENTINEL_PORT),
                _ => one,
            })
        });
        Ok(Self {
            hosts: hosts.collect::<Result<_>>()?,
            prefix: query.prefix(&formation),
            topology: formation,
        })
    }

    /// The hosts in words for the log.
    pub fn hosts_text(&self) -> String {
        let hosts = self.hosts.iter().map(|host| host.addr().to_string());
        hosts.collect::<Vec<_>>().join(", ")
    }
}

/// The same way to speak to another host; an empty one stands for the same host.
pub(super) fn with_host(known: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let or_same = |same: &String| {
        if host.is_empty() {
            same.clone()
        } else {
            host.to_owned()
        }
    };
    let addr = match known.addr().clone() {
        ConnectionAddr::Tcp(same, _) => ConnectionAddr::Tcp(or_same(&same), port),
        ConnectionAddr::TcpTls {
            host: same,
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host: or_same(&same),
            port,
            insecure,
            tls_params,
        },
        other => other,
    };
    known.clone().set_addr(addr)
}

/// How the hosts stand together, and the path without what is said of that.
fn parse_topology<'a>(kind: &str, path: &'a str, query: &UrlQuery) -> Result<(Topology, &'a str)> {
    match kind {
        "sentinel" => {
            let (master, database) = path.split_once('/').unwrap_or((path, ""));
            if master.is_empty() {
                return Err(invalid_url(
                    "it does not say what the sentinels call their master",
                ));
            }
            let formation = Topology::Sentinels {
                master: master.to_owned(),
                credentials: query.sentinel_credentials(),
            };
            Ok((formation, database))
        }
        "cluster" => Ok((Topology::Cluster, path)),
        "" if query.has_value("cluster", "true") => Ok((Topology::Cluster, path)),
        "" => Ok((Topology::Standalone, path)),
        _ => Err(invalid_url("there is no such way to speak to redis")),
    }
}

/// What stands behind the question mark.
struct UrlQuery(HashMap<String, String>);

impl UrlQuery {
    fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn has_value(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_some_and(|said| said == value)
    }

    /// In a cluster, names with the same part in braces lie on one server.
    fn prefix(&self, formation: &Topology) -> String {
        let prefix = self.0.get("prefix").map_or(DEFAULT_PREFIX, String::as_str);
        match formation {
            Topology::Cluster if !prefix.contains('{') => format!("{{{prefix}}}"),
            Topology::Cluster | Topology::Standalone | Topology::Sentinels { .. } => prefix.to_owned(),
        }
    }

    fn sentinel_credentials(&self) -> RedisConnectionInfo {
        let mut sign_in = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(user) = self.0.get("sentinel_user") {
            sign_in = sign_in.set_username(user);
        }
        if let Some(password) = self.0.get("sentinel_password") {
            sign_in = sign_in.set_password(password);
        }
        sign_in
    }

    /// The way to a host with the certificates that were named, read from their files.
    fn with_certificates(&self, host: ConnectionInfo) -> Result<ConnectionInfo> {
        let file = |name: &str| {
            let path = self.0.get(name);
            path.map(|path| {
                std::fs::read(path)
                    .map_err(|cause| invalid_url(&format!("{name} {path} cannot be read: {cause}")))
            })
            .transpose()
        };
        if !matches!(host.addr(), ConnectionAddr::TcpTls { .. }) {
            let named = ["ca", "cert", "key"]
                .iter()
                .any(|name| self.0.contains_key(*name));
            return if named {
                Err(invalid_url("certificates are for rediss://, with two s"))
            } else {
                Ok(host)
            };
        }
        let root_cert = file("ca")?;
        let client_tls = match (file("cert")?, file("key")?) {
            (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig {
                client_cert,
                client_key,
            }),
            (None, None) => None,
            _ => return Err(invalid_url("cert and key belong together")),
        };
        // An error means that one was chosen before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = TlsCertificates {
            client_tls,
            root_cert,
        };
        let client = Client::build_with_tls(host, certificates)
            .map_err(|refusal| invalid_url(&refusal.to_string()))?;
        Ok(client.get_connection_info().clone())
    }
}

/// One host. The third version of the protocol carries the bell over the same connection as everything else.
fn connection_info(url: &str) -> Result<ConnectionInfo> {
    let parsed = redis::parse_redis_url(url).ok_or_else(|| invalid_url("it is not an url"))?;
    let connection = parsed
        .into_connection_info()
        .map_err(|refusal| invalid_url(&refusal.to_string()))?;
    let settings = connection
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3)
        // One right less that a user has to have.
        .set_skip_set_lib_name();
    Ok(connection.set_redis_settings(settings))
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'))
}

fn invalid_url(what: &str) -> Error {
    Error::usage(format!(
        "the queue url cannot be used: {what}; it reads redis://[[USER]:PASSWORD@]HOST[:PORT][/DB][?prefix=NAME:], \
         rediss://… with TLS, redis-cluster://HOST,HOST or redis+sentinel://HOST,HOST/MASTER"
    ))
}

#[cfg(test)]
mod tests;
